"""Files in a model's folder to which lines of JSON are added, one after the other."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from remodal.errors import RemodalError
from remodal.saved.inside import refuse_links


class Lines(NamedTuple):
    """name: of the file. most: bytes of a line. Lines have their end with them."""

    name: str
    most: int

    def append(self, folder: Path, lines: bytes) -> None:
        """Add lines, in place of the beginning of one that a killed process may have left; they are on disk afterwards.

        The caller holds :func:`~remodal.saved.changing`.

        Raises:
            RemodalError: One is larger than is read again, or they can't be written.
        """
        path = folder / self.name
        if (longest := max(map(len, lines.split(b"\n"))) + 1) > self.most:
            raise RemodalError(f"{path}: an entry of {longest:,} bytes; valid: at most {self.most:,}")
        refuse_links(folder, (self.name,))
        try:
            with path.open("a+b") as file:
                start, whole = self._end(file)
                file.truncate(start + len(whole))
                file.write(lines)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise RemodalError(f"{path}: can't be written ({error.strerror})") from None

    def read(self, folder: Path) -> Iterator[tuple[int, bytes]]:
        """All lines with their numbers, from 1; the beginning of one at the end is none.

        Raises:
            RemodalError: A line is too long, or there is no regular file in the folder itself.
        """
        path = folder / self.name
        if not self._there(folder):
            return
        with path.open("rb") as file:
            for number, line in enumerate(iter(lambda: file.readline(self.most + 1), b""), 1):
                if len(line) > self.most:
                    raise RemodalError(
                        f"{path}: line {number:,}: found more than {self.most:,} bytes; valid: at most so many"
                    )
                if line.endswith(b"\n"):
                    yield number, line

    def last(self, folder: Path) -> bytes | None:
        """The last whole line, None where there is none. Raises RemodalError as :meth:`read` does."""
        if not self._there(folder):
            return None
        with (folder / self.name).open("rb") as file:
            _, whole = self._end(file)
        return whole[whole[:-1].rfind(b"\n") + 1 :] or None

    def _there(self, folder: Path) -> bool:
        refuse_links(folder, (self.name,))
        path = folder / self.name
        if not path.exists():
            return False
        if not path.is_file():
            raise RemodalError(f"{path}: not a regular file")
        return True

    def _end(self, file: BinaryIO) -> tuple[int, bytes]:
        """Where the last bytes begin, more than a line and the beginning of one have, and those up to a line's end."""
        start = file.seek(max(0, file.seek(0, os.SEEK_END) - 2 * self.most))
        end = file.read()
        whole = end[: end.rfind(b"\n") + 1]
        if start and not whole:
            raise RemodalError(f"{file.name}: damaged: found more than {self.most:,} bytes in its last line")
        return start, whole
