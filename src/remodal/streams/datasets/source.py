"""The folder of a data set as it was downloaded: what stands in it, and what its lists name and isn't there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

from remodal.below import read_below
from remodal.errors import BadItem, RemodalError, in_one_line, installed_with
from remodal.features.progress import Progress

LONGEST_LIST = 64 << 20  # bytes; the largest official list, that of VGGSound, has 8 MB
T = TypeVar("T")


class Source:
    """What a data set's reader sees of its folder. Paths are from there, with forward slashes.

    Args:
        name: The data set's.
        folder: Without links.
        progress: Shows how the reading goes on.
    """

    def __init__(self, name: str, folder: Path, progress: Progress) -> None:
        self.name = name
        self.folder = folder
        self.progress = progress
        self.missing: list[str] = []
        """What a list names and isn't there."""
        self.notes: list[str] = []
        """What else a person should know."""
        self.names = lru_cache(maxsize=1024)(self._names)
        """``names(path)``: what stands in a folder, empty where there is none. One look serves all its files."""

    def has(self, path: str) -> bool:
        """Whether there is such a file or folder."""
        pure = PurePosixPath(path)
        return pure.name in self.names(pure.parent.as_posix())

    def text(self, path: str) -> str:
        """A text file's content. Raises RemodalError where it can't be read, is too large or isn't UTF-8."""
        try:
            return self._read(path).decode("utf-8-sig")
        except UnicodeDecodeError:
            raise RemodalError(f"{self.folder / path}: found bytes that aren't UTF-8; valid: text in UTF-8") from None

    def matlab(self, path: str) -> dict[str, Any]:
        """The arrays of a MATLAB file of version 5 to 7, by name, as ``scipy.io.loadmat`` gives them.

        Raises RemodalError where it can't be read.
        """
        from io import BytesIO

        with installed_with("datasets"):
            from scipy.io import loadmat

        data = self._read(path)
        with in_one_line(f"{self.folder / path}: can't be read as a MATLAB file"):
            found: dict[str, Any] = loadmat(BytesIO(data))
        return found

    def each(self, items: Sequence[T]) -> Iterator[T]:
        """The items, one after the other, shown as work that goes on."""
        with self.progress.work(self.name, len(items)) as count:
            for item in items:
                yield item
                count()

    def _names(self, path: str) -> frozenset[str]:
        pure = PurePosixPath(path)
        if pure.is_absolute() or ".." in pure.parts:  # a list from who knows where looks nowhere else
            return frozenset()
        try:
            # hidden files are what a system keeps beside others (._0001.png), and none of a data set's
            return frozenset(one.name for one in (self.folder / path).iterdir() if not one.name.startswith("."))
        except OSError:
            return frozenset()

    def _read(self, path: str) -> bytes:
        where = self.folder / path
        try:
            size = where.stat().st_size
        except OSError as error:
            raise RemodalError(f"{where}: can't be read ({error.strerror})") from error
        if size > LONGEST_LIST:
            raise RemodalError(f"{where}: found {size:,} bytes; valid: at most {LONGEST_LIST:,}")
        try:
            return read_below(self.folder, path, str(where))
        except BadItem as error:
            raise RemodalError(str(error)) from error
