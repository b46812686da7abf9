"""What the page shows of media, jobs and versions, as HTML; whatever comes from a file or a client is escaped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from remodal.modalities import MODALITIES
from remodal.report.charts import waveform
from remodal.report.colours import colour
from remodal.search import Hit
from remodal.serve.jobs import Job
from remodal.serve.labelling import Card
from remodal.serve.uploads import Drawn
from remodal.suggesting import Suggested

HERE = Path(__file__).parent


def _drawn(name: str, **values: object) -> str:
    environment = Environment(
        loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters.update(colour=colour)
    environment.globals.update(waveform=waveform)
    module = environment.get_template("drawings.html.jinja").make_module()
    return str(getattr(module, name)(**values))


def problem(text: str) -> str:
    """What went wrong."""
    return _drawn("problem", text=text)


def note(text: str) -> str:
    """What went well."""
    return _drawn("note", text=text)


def medium(drawn: Drawn, *, unfamiliar: bool) -> str:
    """A medium as it was decoded, and whether it is unlike anything learned."""
    return _drawn("medium", drawn=drawn, unfamiliar=unfamiliar)


def card(one: Card, file: str, at: int, of: int, drawn: Drawn) -> str:
    """A file that is to be labelled, the ``at``-th of so many, from 0; sounds and clips with a player."""
    return _drawn("card", one=one, file=file, at=at, of=of, drawn=drawn)


def labelled(count: int, of: int) -> str:
    """That all files are through."""
    return _drawn("labelled", count=count, of=of)


def left_out(found: Suggested) -> str:
    """What became of the files that aren't asked about; nothing where there are none."""
    return _drawn("left_out", found=found)


def hits(title: str, found: Sequence[tuple[Hit, Drawn]]) -> str:
    """Stored files: pictures, frames, depth in colour, sounds with a player, sentences."""
    cards = [(hit, Path(hit.path).name, drawn) for hit, drawn in found]
    return _drawn("hits", title=title, cards=cards)


def stale(counts: Mapping[str, int]) -> str:
    """That some stored files' places are of an earlier version of the model; nothing where there are none."""
    return _drawn("stale", counts=counts)


def classes(listed: Sequence[Mapping[str, Any]]) -> str:
    """What the model has learned."""
    return _drawn("classes", classes=listed)


def job(one: Job) -> str:
    """How a job goes on, and what it did."""
    return _drawn("job", job=one)


def versions(listed: Sequence[Mapping[str, Any]]) -> str:
    """All versions, the latest first."""
    known = [name for name in MODALITIES if any(name in one["accuracy"] for one in listed)]
    return _drawn("versions", versions=list(reversed(listed)), known=known)
