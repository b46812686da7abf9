"""What the page shows of media, jobs and versions, as HTML; whatever comes from a file or a client is escaped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from remodal.errors import BadItem
from remodal.media import given
from remodal.modalities import MODALITIES
from remodal.report.colours import colour
from remodal.report.media import Shown, show
from remodal.search import Hit
from remodal.serve.jobs import Job
from remodal.serve.service import Upload

HERE = Path(__file__).parent


def _drawn(name: str, **values: object) -> str:
    environment = Environment(
        loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters.update(colour=colour)
    module = environment.get_template("drawings.html.jinja").make_module()
    return str(getattr(module, name)(**values))


def problem(text: str) -> str:
    """What went wrong."""
    return _drawn("problem", text=text)


def note(text: str) -> str:
    """What went well."""
    return _drawn("note", text=text)


def medium(upload: Upload) -> str:
    """A medium as it was decoded."""
    shown, read_as = _shown(upload.name, upload.data)
    return _drawn("medium", shown=shown, read_as=read_as)


def hits(title: str, found: Sequence[Hit]) -> str:
    """Stored files: pictures, frames, depth in colour, sounds with a player, sentences."""
    cards = []
    for hit in found:
        try:
            shown, read_as = _shown(hit.path, Path(hit.path).read_bytes())
        except OSError:
            shown, read_as = Shown(note="is not there any more"), ""
        cards.append((hit, Path(hit.path).name, shown, read_as))
    return _drawn("hits", title=title, cards=cards)


def job(one: Job) -> str:
    """How an update goes on, and what it did."""
    return _drawn("job", job=one)


def versions(listed: Sequence[Mapping[str, Any]]) -> str:
    """All versions, the latest first."""
    known = [name for name in MODALITIES if any(name in one["accuracy"] for one in listed)]
    return _drawn("versions", versions=list(reversed(listed)), known=known)


def _shown(name: str, data: bytes) -> tuple[Shown, str]:
    try:
        item = given(name, data, None)
    except BadItem as error:
        return Shown(note=error.reason), ""
    return show(item), item.read_as
