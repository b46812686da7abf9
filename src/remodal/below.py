"""Files that were found below a folder are read only as long as they lie there.

Between the moment when a file is found and the one when it is read, someone else may have put a link, a pipe or a
device in its place, or a link in the place of a folder above it.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from remodal.errors import BadItem
from remodal.modalities.base import read_whole

# a folder on the way may be one that its user may pass through, but not list
FOLDER = os.O_DIRECTORY | os.O_NOFOLLOW | getattr(os, "O_PATH", os.O_RDONLY)
FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY


def real_path(folder: Path, path: str | Path, where: str) -> Path:
    """Where ``path`` (from ``folder``, or absolute) leads, links followed.

    folder: without links, as ``Path.resolve`` gives it. where: names the file in messages.

    Raises:
        BadItem: It leads out of the folder, or nowhere.
    """
    try:
        real = Path(os.path.realpath(folder / path, strict=True))
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise BadItem(where, f"can't be read ({reason})") from error
    if not real.is_relative_to(folder):
        raise BadItem(where, "found a link that leaves the folder; valid: files below it")
    return real


def open_below(folder: Path, path: str | Path, where: str) -> BinaryIO:
    """The file at ``path``, opened to be read; see :func:`real_path`.

    Links that stay in the folder are followed, and what they lead to is opened without following any.

    Raises:
        BadItem: It leads out of the folder, can't be read, or isn't a regular file.
    """
    real = real_path(folder, path, where)
    try:
        descriptor = _opened(real)
    except OSError as error:
        raise BadItem(where, f"can't be read ({error.strerror})") from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise BadItem(where, "isn't a file; valid: regular files")
    return os.fdopen(descriptor, "rb")


def read_below(folder: Path, path: str | Path, where: str) -> bytes:
    """The content of the file at ``path``; see :func:`open_below`. Raises BadItem too where it is too large."""
    with open_below(folder, path, where) as file:
        try:
            return read_whole(file, where)
        except OSError as error:
            raise BadItem(where, f"can't be read ({error.strerror})") from error


@dataclass(frozen=True)
class Found:
    """A file that was found below ``folder`` (without links in its name): it is read only as long as it lies there."""

    folder: Path
    path: Path

    def open(self) -> BinaryIO:
        """The file, opened to be read. Raises BadItem where it leaves the folder or isn't a regular file."""
        return open_below(self.folder, self.path.absolute(), str(self.path))

    def read(self) -> bytes:
        """The encoded medium. Raises BadItem where it leaves the folder, isn't a regular file, or can't be read."""
        return read_below(self.folder, self.path.absolute(), str(self.path))


def _opened(real: Path) -> int:
    """Name by name from the root: had a folder become a link since its name was resolved, opening it would fail."""
    holder = os.open(real.anchor, FOLDER)
    try:
        for name in real.parts[1:-1]:
            inner = os.open(name, FOLDER, dir_fd=holder)
            os.close(holder)
            holder = inner
        return os.open(real.name, FILE, dir_fd=holder)
    finally:
        os.close(holder)
