"""What a model's log says that is known by now: contents, files, and how many items of each class came."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from remodal.streams.base import Column
from remodal.watching.log import Arrival, Entry, SetAside, named
from remodal.watching.looking import Sign


class Known:
    """entries: that count, oldest first."""

    def __init__(self, entries: Iterable[Entry] = ()) -> None:
        self.contents: dict[str, str] = {}
        """Where each was found first, by its hash."""
        self.counts = Counter[Column]()
        """Items of each class, learned or held out."""
        self._files: dict[tuple[str, str], Sign] = {}
        for entry in entries:
            self.add(entry)

    def add(self, entry: Entry) -> None:
        """What an entry says."""
        for one in (*entry.learned, *entry.held_out):
            self.contents[one.content] = one.path
            self.counts[Column(one.modality, one.label)] += 1
        files: tuple[Arrival | SetAside, ...] = (*entry.learned, *entry.held_out, *entry.set_aside)
        for file in files:
            self._files[entry.source, file.path] = Sign(file.bytes, file.changed)

    def is_file(self, source: str, path: str, sign: Sign) -> bool:
        """Whether a file was dealt with as it stands there."""
        return self._files.get((source, named(path))) == sign
