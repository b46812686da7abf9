"""``webdataset:FILES?image=jpg&label=cls&names=FILE``: tar files in which the files of a sample share a name.

As WebDataset writes them: ``0001.jpg``, ``0001.cls``, ``0001.json``, one after the other; a column is called as the
suffix. Headers alone are read to list them, and a medium is read from where it lies in its tar, so that nothing is
copied. A compressed tar can't be read so.
"""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any, NamedTuple

import fsspec
from fsspec import AbstractFileSystem

from remodal.errors import BadItem, RemodalError, in_one_line
from remodal.modalities.base import check_size
from remodal.streams.base import Item
from remodal.streams.listing import Listing
from remodal.streams.sources.address import Address, checked, sources
from remodal.streams.sources.records import Facts, FileOptions, Part, listed_records


class Tar(NamedTuple):
    """A tar file, on this machine or behind a URL."""

    system: AbstractFileSystem
    path: str

    @property
    def name(self) -> str:
        """Without its folder."""
        return PurePosixPath(self.path).name

    def opened(self) -> AbstractContextManager[IO[bytes]]:
        """The file, to be read."""
        opened: AbstractContextManager[IO[bytes]] = self.system.open(self.path, "rb")
        return opened


class Member(NamedTuple):
    """Where a file lies in a tar."""

    tar: Tar
    start: int
    size: int

    def read(self, where: str) -> bytes:
        """Its bytes. Raises BadItem where they can't be read or are too many."""
        check_size(self.size, where)
        try:
            with self.tar.opened() as file:
                file.seek(self.start)
                data = file.read(self.size)
        except Exception as error:  # whatever the client of a store raises
            raise BadItem(where, f"can't be read from {self.tar.name} ({error})") from error
        if len(data) < self.size:
            raise BadItem(where, f"found {self.tar.name} cut short")
        return data


@dataclass(frozen=True)
class TarItem(Item):
    """One file in a tar."""

    member: Member
    unit: str | None = None

    @property
    def file(self) -> Path | None:
        """The tar, where it is on this machine."""
        system, path = self.member.tar
        return Path(path) if "file" in system.protocol else None

    def read(self) -> bytes:
        """The medium. Raises BadItem where it can't be read or is too large."""
        return self.member.read(self.id)


@sources.add("webdataset")
def list_webdataset(address: Address, depth_unit: str | None, undivided: int) -> Listing:
    """Samples of tar files; RemodalError where there is no such file, or one can't be read."""
    options = checked(address, FileOptions)
    parts = [Part(side, Samples(address, files), side) for side, files in options.by_side(address).items()]
    return listed_records(address, parts, options, depth_unit, undivided)


class Samples:
    """Records that are the samples of tar files."""

    def __init__(self, address: Address, pattern: str) -> None:
        with in_one_line(f"{address}: can't be read"):
            system, path = fsspec.url_to_fs(pattern)
            tars = [Tar(system, one) for one in sorted(system.glob(path))]
        if not tars:
            raise RemodalError(f"{address}: found no file {pattern}; valid: tar files, as a path, a pattern or a URL")
        self._samples: list[dict[str, Member]] = []
        for tar in tars:
            with in_one_line(f"{tar.path}: can't be read; valid: a tar file that isn't compressed"):
                self._samples.extend(_samples(tar))
        self.columns = list(dict.fromkeys(name for sample in self._samples for name in sample))

    def values(self, column: str) -> list[Any]:
        """Of ``.json`` what it holds, of ``.cls`` a whole number, of others their text."""
        return [_value(sample.get(column), column) for sample in self._samples]

    def names(self, path: Sequence[str]) -> None:
        """None are stated."""

    def holding(self, column: str) -> list[bool]:
        """Which samples have such a file."""
        return [column in sample for sample in self._samples]

    def item(self, column: str, record: int, facts: Facts) -> TarItem:
        """A sample's medium."""
        return TarItem(*facts[:-1], licence="", member=self._samples[record][column], unit=facts.unit)


def _samples(tar: Tar) -> Iterator[dict[str, Member]]:
    """The samples of a tar: members in a row whose names are alike up to the first dot."""
    of, sample = "", dict[str, Member]()
    with tar.opened() as file, tarfile.open(fileobj=file, mode="r:") as members:
        for member in members:
            path = PurePosixPath(member.name)
            key, _, suffix = path.name.partition(".")
            if not member.isreg() or member.issparse() or not key or not suffix:
                continue
            if (whole := str(path.with_name(key))) != of:
                if sample:
                    yield sample
                of, sample = whole, {}
            sample[suffix.lower()] = Member(tar, member.offset_data, member.size)
    if sample:
        yield sample


def _value(member: Member | None, column: str) -> Any:
    if member is None:
        return None
    where = f"{member.tar.name} at {member.start:,}"
    try:
        text = member.read(where).decode().strip()
        if column.rpartition(".")[2] == "json":
            return json.loads(text)
        return int(text) if column.rpartition(".")[2] == "cls" else text
    except (BadItem, ValueError) as error:
        raise RemodalError(f"{where}: found no {column} that can be read ({error})") from None
