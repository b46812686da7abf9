"""``arrivals.jsonl`` in a model's folder: what arrived, when, and what became of it; one JSON object a line.

An entry is written before the version that has learned it, and that version names the entry (``about.arrived``). So an
entry counts when a version names it, or an entry that counts does (``after``): what a killed process wrote, or what was
learned by versions that were gone back from, stays in the log and counts for nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Annotated

from pydantic import Field

from remodal.saved.description import Class, Hash, Line, Measured, Moment, Name, Number, Part, cleaned, valid
from remodal.saved.lines import Lines

LOG = "arrivals.jsonl"
LINES = Lines(LOG, 4 * 2**20)
"""The file, and bytes of an entry."""
WRITTEN = re.compile(rb'\{"id":"([0-9a-f]{32})",(.*)\n', re.DOTALL)
Size = Annotated[int, Field(ge=0, le=2**50)]
Time = Annotated[int, Field(ge=0, le=2**63)]
"""When a file was last written, in nanoseconds since 1970; 0 where that isn't known."""


class Arrival(Part):
    """An item. path: from the folder. content: :func:`~remodal.watching.content.content_of`."""

    path: Line
    modality: Name
    label: Line
    content: str = Field(pattern=r"^[0-9a-f]{64}$")
    bytes: Size = 0
    changed: Time = 0


class SetAside(Part):
    """A file that can't be used, or brings nothing new, and why."""

    path: Line
    reason: Line
    bytes: Size = 0
    changed: Time = 0


class Entry(Part):
    """What was done at one time.

    time: UTC, ISO 8601. source: the folder, or who sent it. after: the entry before it. version: of the model, that has
    learned it; None where all was set aside. learned, held_out: items. new: classes that were not known. accuracy: by
    modality, of that version on all that it holds out.
    """

    time: Moment
    source: Line
    after: Hash | None = None
    version: Number | None = None
    learned: tuple[Arrival, ...] = ()
    held_out: tuple[Arrival, ...] = ()
    new: tuple[Class, ...] = ()
    accuracy: dict[Name, Measured] = Field(default_factory=dict)
    set_aside: tuple[SetAside, ...] = ()

    @cached_property
    def id(self) -> str:
        """A hash over all that it says."""
        return _hash(self.model_dump_json().encode())

    def as_line(self) -> bytes:
        """As it stands in the log: its id comes first."""
        return b'{"id":"%s",%s\n' % (self.id.encode(), self.model_dump_json().encode()[1:])

    @classmethod
    def from_line(cls, line: bytes) -> Entry:
        """What :meth:`as_line` gave. ValueError where it is none, or was altered."""
        found = WRITTEN.fullmatch(line)
        if found is None or _hash(b"{" + found[2]) != found[1].decode():
            raise ValueError("altered since it was written: its id isn't the hash of what it says")
        return cls.model_validate_json(b"{" + found[2])


def now() -> str:
    """The time as entries have it."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def entries(folder: Path, last: str | None) -> Iterator[Entry]:
    """The entries that count, oldest first, of a model whose current version names the entry ``last``.

    What was written before the oldest line that is left is not known any more.

    Raises:
        RemodalError: The log is damaged.
    """
    before = {one.id: one.after for one in _written(folder) if one.version is not None}
    counted: set[str | None] = {None}
    while last is not None:
        counted.add(last)
        last = before.get(last)
    left = set(counted)  # what is begun again within a second of a kill may be written twice
    for one in _written(folder):
        if one.version is None:
            if one.after in counted:
                yield one
        elif one.id in left:
            left.remove(one.id)
            yield one


def append(folder: Path, entry: Entry) -> None:
    """Add an entry, in place of the beginning of one that a killed process may have left; it is on disk afterwards.

    The caller holds :func:`~remodal.saved.changing`.

    Raises:
        RemodalError: It is larger than is read again, or can't be written.
    """
    LINES.append(folder, entry.as_line())


def named(path: str) -> str:
    """A path as entries have it: valid text in one line."""
    return cleaned(path.encode("utf-8", "backslashreplace").decode())


def _hash(data: bytes) -> str:
    return sha256(data).hexdigest()[:32]


def _written(folder: Path) -> Iterator[Entry]:
    """All entries; the beginning of one at the end is none."""
    for number, line in LINES.read(folder):
        with valid(f"{folder / LOG}: line {number:,}: damaged"):
            yield Entry.from_line(line)
