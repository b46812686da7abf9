"""What stands in a folder ``<modality>/<class>/<files>``, and which of it is whole and new."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from remodal.errors import RemodalError
from remodal.modalities import MODALITIES
from remodal.streams.folder import LAYOUT, list_folder
from remodal.streams.listing import Listing
from remodal.streams.manifest import NAME
from remodal.streams.places import Entry, LocalFolder

DEPTH = 3
"""Names in the path of a file that can be learned from."""


class Sign(NamedTuple):
    """By which a file is told to be as it was. changed: when it was last written, in nanoseconds since 1970."""

    bytes: int
    changed: int


class Looker:
    """Looks at a folder again and again. is_known: whether a file was dealt with as it stands there.

    A file is whole when two looks, one after the other, find it the same.
    """

    def __init__(self, folder: Path, is_known: Callable[[str, Sign], bool]) -> None:
        self._folder, self._is_known = folder, is_known
        self._before: dict[str, Sign] = {}
        self.unsettled = False
        """Whether to look again: something was new in the last look, or couldn't be dealt with then."""

    def look(self) -> dict[str, Sign]:
        """What is whole and not known, by path from the folder, in the order in which it was written.

        Raises:
            RemodalError: The folder can't be read, or has a manifest, which says what is in it when all is there.
        """
        if (self._folder / NAME).exists():
            raise RemodalError(
                f"{self._folder}: found a {NAME}, which names all files beforehand; valid: {LAYOUT} without one, or "
                "remodal update"
            )
        new = {path: sign for path, sign in _standing(self._folder) if not self._is_known(path, sign)}
        whole = {path: sign for path, sign in new.items() if self._before.get(path) == sign}
        self._before, self.unsettled = new, len(whole) < len(new)
        return dict(sorted(whole.items(), key=lambda one: (one[1].changed, one[0])))


def listing_of(folder: Path, paths: tuple[str, ...], depth_unit: str | None) -> Listing:
    """These paths as items and what is set aside of them, by the rules for a whole folder; all are for learning."""
    return list_folder(_Some(folder, paths), depth_unit, undivided=len(paths) + 1)


@dataclass(frozen=True)
class _Some(LocalFolder):
    """A folder in which nothing stands but what ``paths`` lead to."""

    paths: tuple[str, ...] = field(repr=False)

    def entries(self, folder: str = "") -> list[Entry]:
        """What stands in ``folder``."""
        above = f"{folder}/" if folder else ""
        names = {path[len(above) :].partition("/")[0] for path in self.paths if path.startswith(above)}
        if not names:  # a folder that can't be read: so it is said
            return super().entries(folder)
        return [Entry(name, (self.path / folder / name).is_dir()) for name in sorted(names)]


def _standing(root: Path, folder: str = "", depth: int = 1) -> Iterator[tuple[str, Sign]]:
    """All files where items can lie, and what stands where none can, such as folders in those of the classes."""
    try:
        with os.scandir(root / folder) as found:
            listed = [one for one in found if not one.name.startswith(".")]
    except OSError as error:
        if not folder:
            raise RemodalError(f"{root}: the folder can't be read ({error.strerror})") from None
        if isinstance(error, PermissionError):
            yield folder, Sign(0, 0)
        return  # otherwise it has gone since it was listed
    for one in listed:
        path = f"{folder}/{one.name}" if folder else one.name
        if not one.is_dir():
            if depth > 1:
                yield path, _sign(one)
        elif depth < DEPTH and (depth > 1 or one.name in MODALITIES):
            yield from _standing(root, path, depth + 1)
        else:
            yield path, Sign(0, 0)


def _sign(entry: os.DirEntry[str]) -> Sign:
    try:
        found = entry.stat()
    except OSError:  # a link that leads nowhere, or a file that has gone
        return Sign(0, 0)
    return Sign(found.st_size, max(0, found.st_mtime_ns))
