"""Folders for files that are gone when the server is: it removes them, or the next one does if it was killed."""

from __future__ import annotations

import secrets
import shutil
from pathlib import Path
from typing import Self

from filelock import FileLock, Timeout

UPLOADS = "uploads"
"""The folder of the cache in which they are."""


class OwnFolders:
    """Of this process, below ``root``; no other user of the machine can look into them. Used as a context.

    They stand in one folder, whose lock is held as long as the process lives: a lock goes with its process, where a
    process's number can come again, in a container always the same one.
    """

    def __init__(self, root: Path) -> None:
        self._root, self._own = root, root / secrets.token_hex(8)
        self._lock = _lock(self._own)

    def __enter__(self) -> Self:
        """Begin, and remove what processes that were killed have left. Raises OSError where that can't be."""
        self._root.mkdir(parents=True, exist_ok=True)
        with FileLock(self._root / ".lock"):
            for folder in self._root.iterdir():
                if folder.is_dir():
                    _remove_if_dead(folder)
            self._own.mkdir(mode=0o700)
            self._lock.acquire()
        return self

    def __exit__(self, *_: object) -> None:
        self._lock.release()
        shutil.rmtree(self._own, ignore_errors=True)

    def folder(self, name: str) -> Path:
        """Where the one of that name is, if it was made."""
        return self._own / name

    def make(self, name: str) -> Path:
        """A new one. Raises OSError where it can't be made."""
        self.folder(name).mkdir()
        return self.folder(name)

    def forget(self, name: str) -> None:
        """Remove one."""
        shutil.rmtree(self.folder(name), ignore_errors=True)


def _lock(folder: Path) -> FileLock:
    return FileLock(folder / ".lock", timeout=0)


def _remove_if_dead(folder: Path) -> None:
    try:
        with _lock(folder):
            shutil.rmtree(folder, ignore_errors=True)
    except Timeout:
        pass
