"""``log.jsonl``: what was learned, corrected and gone back to, when and from where, of versions that may be gone.

The descriptions of the versions that are there say it all. So an entry is written when a version is removed or gone
back from, and until then it follows from them: nothing is recorded twice, and a kill leaves nothing that disagrees.
Entries name classes, sources and numbers of items, and no file.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from remodal.errors import RemodalError
from remodal.saved.description import Description, Line, Moment, Number, Part, cleaned, valid
from remodal.saved.lines import Lines

LOG = Lines("log.jsonl", 8192)


class Done(Part):
    """What was done. time: UTC. version: the current one since then. newest: the highest number of a version then."""

    time: Moment
    version: Number
    newest: Number
    note: Line

    def as_line(self) -> bytes:
        """As it stands in the log."""
        return self.model_dump_json().encode() + b"\n"


def written(folder: Path) -> Iterator[Done]:
    """The entries in the log, oldest first. RemodalError where it is damaged."""
    for number, line in LOG.read(folder):
        with valid(f"{folder / LOG.name}: line {number:,}: damaged"):
            yield Done.model_validate_json(line)


def last_written(folder: Path) -> Done | None:
    """The last entry in the log.

    Raises:
        RemodalError: It is damaged: what comes next can't be added.
    """
    line = LOG.last(folder)
    if line is None:
        return None
    try:
        with valid(f"{folder / LOG.name}: the last line: damaged"):
            return Done.model_validate_json(line)
    except RemodalError as error:
        raise RemodalError(f"{error}; valid: to remove the file, which begins again then") from None


def not_written(last: Done | None, listed: Sequence[Description], current: int) -> list[Done]:
    """What was done after the entry ``last``. listed: the versions that are there. current: the number of one."""
    by_number = {one.version: one for one in listed}
    found = [last] if last else []
    for one in listed:
        if last is None or one.version > last.newest:
            parent = None if one.parent is None else by_number.get(one.parent)
            found.append(
                Done(time=one.made, version=one.version, newest=one.version, note=one.note or _learned(one, parent))
            )
    if found[-1].version != current:
        time = datetime.now(UTC).isoformat(timespec="seconds")
        found.append(Done(time=time, version=current, newest=found[-1].newest, note=f"went back to version {current}"))
    return found[1:] if last else found


def _learned(one: Description, before: Description | None) -> str:
    """What a version has learned that its parent hadn't, by where it came from."""
    known = Counter[tuple[str, str]]()
    for source in before.about.sources if before else ():
        known[source.origin, source.modality] += source.items
    now = Counter[tuple[str, str]]()
    for source in one.about.sources:
        now[source.origin, source.modality] += source.items
    more: dict[str, list[str]] = {}
    for (origin, modality), items in (now - known).items():
        more.setdefault(origin, []).append(f"{items:,} {modality}")
    new = [str(column) for column in one.about.classes if before is None or column not in before.about.classes]
    told = [f"learned {', '.join(counts)} from {origin}" for origin, counts in more.items()]
    return cleaned("; ".join([*told, *([f"new: {', '.join(new)}"] if new else [])]) or "saved")
