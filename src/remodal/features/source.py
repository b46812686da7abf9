"""What the stem pass needs of an item; a stream's items are this, and so is a file given to ``predict``.

Or else it is a window of a long sound or clip, which stays in its file until it is decoded.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import BinaryIO, NamedTuple, Protocol

from remodal.below import Found
from remodal.errors import BadItem
from remodal.modalities.windows import Span


class Encoded(Protocol):
    """One encoded medium."""

    @property
    def id(self) -> str:
        """Its name, for messages and as the key of its tokens in a result."""

    @property
    def read_as(self) -> str:
        """The modality whose reader decodes it."""

    @property
    def unit(self) -> str | None:
        """Stated unit of depth readings, where there is one."""

    def read(self) -> bytes:
        """The encoded medium. Raises BadItem where it can't be read."""


class Seen(NamedTuple):
    """What a file held when it was looked at. content: a hash of it. size: bytes. changed: nanoseconds."""

    content: str
    size: int
    changed: int


@dataclass(frozen=True)
class Window:
    """A part of a long sound or clip. read_as: the modality whose reader decodes it."""

    file: Found
    read_as: str
    span: Span
    seen: Seen
    unit: None = None

    @property
    def id(self) -> str:
        """Its name, for messages and as the key of its tokens in a result."""
        return f"{self.file.path}, {self.span}"

    def tag(self) -> bytes:
        """What stands for its bytes: a hash of all of the file, and where in it the window lies."""
        return f"{self.seen.content} {self.span.start!r} {self.span.end!r}".encode()

    def open(self) -> BinaryIO:
        """Its file. Raises BadItem where that can't be read, or holds something else by now."""
        file = self.file.open()
        now = os.fstat(file.fileno())
        if (now.st_size, now.st_mtime_ns) != self.seen[1:]:
            file.close()
            raise BadItem(str(self.file.path), "was changed since it was looked at; index, or ask, again")
        return file
