"""Folders for files that are gone when the server is: it removes them, or the next one does if it was killed."""

from __future__ import annotations

import os
import shutil
from pathlib import Path


class OwnFolders:
    """Of this process, below ``root``; no other user of the machine can look into them."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def folder(self, name: str) -> Path:
        """Where the one of that name is, if it was made."""
        return self._root / f"{os.getpid()}-{name}"

    def make(self, name: str) -> Path:
        """A new one. Raises OSError where it can't be made."""
        folder = self.folder(name)
        self._root.mkdir(parents=True, exist_ok=True)
        folder.mkdir(mode=0o700)
        return folder

    def forget(self, name: str) -> None:
        """Remove one."""
        shutil.rmtree(self.folder(name), ignore_errors=True)

    def forget_the_dead(self) -> None:
        """Remove what processes that were killed have left."""
        for folder in self._root.glob("*-*"):
            if not _alive(int(folder.name.partition("-")[0])):
                shutil.rmtree(folder, ignore_errors=True)


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
