"""Where files lie: in a folder of this machine, or in one behind an address that fsspec knows.

fsspec's addresses are those of object stores and the like, ``s3://bucket/folder``; ``simplecache::s3://bucket/folder``
keeps copies of what was read.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, NamedTuple, Protocol

import fsspec
from fsspec import AbstractFileSystem

from remodal.below import read_below, real_path
from remodal.errors import BadItem, RemodalError, in_one_line, shortened
from remodal.modalities.base import read_whole


class Entry(NamedTuple):
    """What stands in a folder."""

    name: str
    is_folder: bool


class Place(Protocol):
    """A folder with files; paths are from there, with forward slashes."""

    @property
    def name(self) -> str:
        """The folder's own name."""

    def __str__(self) -> str:
        """As a person would write it."""

    def entries(self, folder: str = "") -> list[Entry]:
        """What stands in ``folder``, sorted by name, hidden things left out. Raises OSError."""

    def holds(self, path: str) -> bool:
        """Whether something stands at ``path``, even a link that leads nowhere."""

    def located(self, path: str) -> Hashable:
        """Which file ``path`` leads to. Raises BadItem where it is none, or not below the folder."""

    def open(self, path: str) -> IO[bytes]:
        """The file, to be read. Raises OSError."""

    def read(self, path: str) -> bytes:
        """The file's bytes. Raises BadItem where it can't be read or is too large."""

    def local(self, path: str) -> Path | None:
        """The file on this machine, where it is on it."""


@dataclass(frozen=True)
class LocalFolder:
    """A folder of this machine; links that lead out of it aren't followed."""

    path: Path

    def __post_init__(self) -> None:
        object.__setattr__(self, "path", self.path.resolve())

    @property
    def name(self) -> str:
        """The folder's own name."""
        return self.path.name

    def __str__(self) -> str:
        return str(self.path)

    def entries(self, folder: str = "") -> list[Entry]:
        """What stands in ``folder``."""
        found = sorted(path for path in (self.path / folder).iterdir() if not path.name.startswith("."))
        return [Entry(path.name, path.is_dir()) for path in found]

    def holds(self, path: str) -> bool:
        """Whether something stands at ``path``."""
        return os.path.lexists(self.path / path)

    def located(self, path: str) -> Path:
        """Where ``path`` leads, links followed."""
        real = real_path(self.path, path, path)
        if not real.is_file():
            raise BadItem(path, "isn't a file; valid: regular files")
        return real

    def open(self, path: str) -> IO[bytes]:
        """The file, to be read."""
        return open(self.path / path, "rb")

    def read(self, path: str) -> bytes:
        """The file's bytes."""
        return read_below(self.path, path, path)

    def local(self, path: str) -> Path:
        """The file."""
        return self.path / path


@dataclass(frozen=True)
class RemoteFolder:
    """A folder behind an address; files are read when they are asked for, and whenever they are."""

    address: str
    system: AbstractFileSystem
    root: str

    @property
    def name(self) -> str:
        """The folder's own name."""
        return self.root.rpartition("/")[2]

    def __str__(self) -> str:
        return self.address

    def _at(self, path: str) -> str:
        return f"{self.root}/{path}" if path else self.root

    def entries(self, folder: str = "") -> list[Entry]:
        """What stands in ``folder``."""
        found = []
        for one in _in_words(self.system.ls, self._at(folder), detail=True):
            name = one["name"].rstrip("/").rpartition("/")[2]
            if one["name"].rstrip("/") != self._at(folder) and not name.startswith("."):
                found.append(Entry(name, one["type"] == "directory"))
        return sorted(found)

    def holds(self, path: str) -> bool:
        """Whether something stands at ``path``."""
        return bool(_in_words(self.system.exists, self._at(path)))

    def located(self, path: str) -> str:
        """The file's address."""
        try:
            there = _in_words(self.system.isfile, self._at(path))
        except OSError as error:
            raise BadItem(path, f"can't be read ({error.strerror})") from error
        if not there:
            raise BadItem(path, "isn't a file; valid: files")
        return self._at(path)

    def open(self, path: str) -> IO[bytes]:
        """The file, to be read."""
        opened: IO[bytes] = _in_words(self.system.open, self._at(path), "rb")
        return opened

    def read(self, path: str) -> bytes:
        """The file's bytes."""
        try:
            with self.open(path) as file:
                data: bytes = _in_words(read_whole, file, path)
                return data
        except OSError as error:
            raise BadItem(path, f"can't be read ({error.strerror})") from error

    def local(self, path: str) -> None:
        """It isn't on this machine."""


def place_of(where: str | Path) -> Place:
    """The folder at a path, which may not be there, or at a URL.

    Raises:
        RemodalError: Nothing is at the URL, or the client of that kind of store isn't installed.
    """
    if not (isinstance(where, str) and is_url(where)):
        return LocalFolder(Path(where))
    with in_one_line(f"{where}: can't be reached"):
        system, root = fsspec.url_to_fs(where)
        found = system.isdir(root)
    if not found:
        raise RemodalError(f"{where}: found no folder there; valid: a folder's URL")
    return LocalFolder(Path(root)) if "file" in system.protocol else RemoteFolder(where, system, root.rstrip("/"))


def is_url(where: str) -> bool:
    """Whether ``where`` is such an address.

    >>> is_url("s3://bucket/birds"), is_url("simplecache::s3://bucket/birds"), is_url("birds"), is_url("C:/birds")
    (True, True, False, False)
    """
    return "://" in where


def _in_words(call: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
    """What ``call`` gives; whatever a store's client raises is an OSError that says what happened."""
    try:
        return call(*arguments, **named)
    except BadItem:
        raise
    except Exception as error:
        said = getattr(error, "strerror", None) or f"{type(error).__name__}: {error}"
        raise OSError(errno.EIO, shortened(said)) from error
