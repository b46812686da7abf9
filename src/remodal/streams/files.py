"""Items that are files in a folder, and the checks that each file passes before it becomes one."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from remodal.errors import BadItem, UnknownName
from remodal.modalities import get_modality
from remodal.streams.base import Item, Quarantined, Split
from remodal.streams.places import Place


@dataclass(frozen=True)
class FileItem(Item):
    """A file below ``place``; its id is its path from there, with forward slashes."""

    place: Place
    unit: str | None = None
    task: str = ""

    def read(self) -> bytes:
        """The file's bytes. Raises BadItem where it can't be read, is too large, or lies outside of the folder now."""
        return self.place.read(self.id)

    @property
    def file(self) -> Path | None:
        """The file itself, where it is on this machine."""
        return self.place.local(self.id)


class Gathering:
    """The files of one folder that become items, and what is set aside with its reason.

    Args:
        place: The folder.
        depth_unit: The unit of depth files that state none.
    """

    def __init__(self, place: Place, depth_unit: str | None) -> None:
        self.place = place
        self.items: list[FileItem] = []
        self.quarantined: list[Quarantined] = []
        self._depth_unit = depth_unit
        self._seen: dict[Hashable, str] = {}

    def add(
        self,
        path: str,
        modality: str,
        label: str,
        *,
        split: Split = "train",
        group: str = "",
        licence: str = "",
        task: str = "",
        unit: str | None = None,
        line: str = "",
    ) -> None:
        """Take the file at ``path`` (from the folder) as an item, or set it aside. line: where a manifest names it."""
        if modality == "depth":
            unit = unit or self._depth_unit
        try:
            item_id = _checked_id(self._forward(path), modality)
            item = FileItem(item_id, modality, label, split, group, licence, place=self.place, unit=unit, task=task)
            self._locate(item_id)
        except BadItem as error:
            self.set_aside(error.where, error.reason, line)
            return
        self.items.append(item)

    def set_aside(self, path: str, reason: str, line: str = "") -> None:
        """Leave ``path`` out of the stream and say why; line: of the manifest that names it."""
        self.quarantined.append(Quarantined(_printable(path), f"{reason} ({line})" if line else reason))

    def _forward(self, path: str) -> str:
        """``path`` with a manifest's backslashes, as Windows writes them, turned; unless a file is named so."""
        forward = path.replace("\\", "/")
        return path if forward == path or self.place.holds(path) else forward

    def _locate(self, item_id: str) -> None:
        """Check that there is such a file, below the folder, that wasn't taken already."""
        real = self.place.located(item_id)
        if real in self._seen:
            raise BadItem(item_id, f"is the same file as {self._seen[real]}; valid: each file once")
        self._seen[real] = item_id


def _checked_id(path: str, modality: str) -> str:
    """The posix form of ``path``, if it can be a file of this modality below a folder."""
    try:
        suffixes = get_modality(modality).suffixes
    except UnknownName as error:
        raise BadItem(path, str(error)) from None
    if _printable(path) != path:
        raise BadItem(path, "found a file name that isn't UTF-8")
    pure = PurePosixPath(path)
    if pure.is_absolute() or ".." in pure.parts:
        raise BadItem(path, "leaves the folder; valid: a path below it, without '..'")
    if pure.suffix.lower() not in suffixes:
        valid = ", ".join(sorted(suffixes))
        raise BadItem(path, f"found suffix {pure.suffix!r}; valid for {modality}: {valid}")
    return pure.as_posix()


def _printable(path: str) -> str:
    """``path`` as valid UTF-8: a file name may be any bytes, which Python holds as lone surrogates."""
    return path.encode("utf-8", "backslashreplace").decode("utf-8")
