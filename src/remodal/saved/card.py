"""A model's card: ``README.md``, from what its description says."""

from __future__ import annotations

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from remodal.saved.description import Description

HERE = Path(__file__).parent


def card(description: Description) -> str:
    """The card in Markdown, with the front matter that model hubs read."""
    about = description.about
    classes = {
        modality: [column.name for column in about.classes if column.modality == modality]
        for modality in dict.fromkeys(column.modality for column in about.classes)
    }
    items = {modality: sum(one.items for one in about.sources if one.modality == modality) for modality in classes}
    origins: dict[tuple[str, str], set[str]] = {}
    for source in about.sources:
        origins.setdefault((source.origin, source.modality), set()).update(source.licences)
    told = {"description": description, "about": about, "classes": classes, "items": items, "origins": origins}
    return markdown(HERE / "card.md.jinja", **told)


def markdown(template: Path, **told: object) -> str:
    """What a template of Markdown makes of what it is told; texts go through :func:`plain` in it."""
    environment = Environment(  # noqa: S701  # Markdown: `plain` escapes
        loader=FileSystemLoader(template.parent), undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters.update(plain=plain)
    environment.globals.update(share=share)
    return environment.get_template(template.name).render(**told)


def plain(text: str) -> str:
    r"""``text`` as it is, whatever Markdown or HTML would make of it.

    >>> plain("a|b <i>*x*")
    'a\\|b &lt;i&gt;\\*x\\*'
    """
    escaped = " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return "".join(f"\\{sign}" if sign in "\\`*_[]|#" else sign for sign in escaped)


def share(value: float | None) -> str:
    """An accuracy in percent.

    >>> share(0.8964), share(None)
    ('89.6 %', '–')
    """
    return "–" if value is None else f"{100 * value:.1f} %"
