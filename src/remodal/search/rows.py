"""What a row of an index holds: one row a file, or one a window of a long sound or clip."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from remodal.modalities.windows import Span

UNIT = "unit"
SPAN = ("start", "end")
KEY = {"lance-schema:unenforced-primary-key:position": "1"}
"""No two rows have the same value here: without this, two processes that insert one file at once would make two."""


def identity(path: str, start: float | None = None) -> str:
    """A name that can stand in any query: a hash of the path, and of when a window begins."""
    name = path if start is None else f"{path}\0{start!r}"
    return sha256(name.encode(errors="surrogateescape")).hexdigest()


class File(NamedTuple):
    """A file as an index knows it, or a window of one. content: a hash of the file. folder: it was found below. unit:
    of depth, where stated. start, end: of a window, in seconds.
    """

    path: str
    content: str
    folder: str
    unit: str
    start: float | None = None
    end: float | None = None

    @property
    def id(self) -> str:
        """Of its row."""
        return identity(self.path, self.start)

    @property
    def whole(self) -> File:
        """The file, where it is a window of one."""
        return self._replace(start=None, end=None)


@dataclass(frozen=True)
class Stored:
    """A file of the index, or a window of one. folder: it was found below. vector: ``[d]``, of length one. unit: of
    depth, where stated. start, end: of a window, in seconds.
    """

    path: str
    folder: str
    content: str
    modality: str
    label: str
    probability: float
    lineage: str
    vector: NDArray[np.float32] = field(compare=False)
    unit: str = ""
    start: float | None = None
    end: float | None = None

    @property
    def id(self) -> str:
        """A name that can stand in any query: a hash of the path, and of when a window begins."""
        return identity(self.path, self.start)


class Count(NamedTuple):
    """How much an index holds. files: all. long: those of them that are cut in windows. windows: of all of these."""

    files: int
    long: int
    windows: int

    @property
    def kinds(self) -> str:
        """What its rows are."""
        return "files and windows" if self.windows else "files"

    def __str__(self) -> str:
        cut = f", {self.long:,} of them cut in {self.windows:,} windows" if self.windows else ""
        return f"{self.files:,} files{cut}"


class Places(NamedTuple):
    """Where files are, and windows of files. labels, modalities: one of each. vectors: ``[n, d]``, of length one.
    files: which file each is, or is a window of.
    """

    labels: Sequence[str]
    modalities: Sequence[str]
    vectors: NDArray[np.float32]
    files: Sequence[str]


class Hit(NamedTuple):
    """A file that was found. nearness: the cosine, at most 1. sure: whether it is nearer than what is found by chance;
    None where that wasn't asked, or can't be told (:mod:`remodal.search.chance`). start, end: of the window that was
    found of a long sound or clip, in seconds; None where the file was found whole.
    """

    id: str
    path: str
    modality: str
    label: str
    nearness: float
    sure: bool | None = None
    start: float | None = None
    end: float | None = None

    @property
    def span(self) -> Span | None:
        """The window that was found; None where the file was found whole."""
        return None if self.start is None or self.end is None else Span(self.start, self.end)


def schema(width: int) -> pa.Schema:
    """The columns of a table whose places have ``width`` numbers."""
    return pa.schema(
        [
            pa.field("id", pa.string(), nullable=False, metadata=KEY),
            ("path", pa.string()),
            ("folder", pa.string()),
            ("content", pa.string()),
            ("modality", pa.string()),
            ("label", pa.string()),
            ("probability", pa.float32()),
            ("lineage", pa.string()),
            ("vector", pa.list_(pa.float32(), width)),
            (UNIT, pa.string()),
            *((name, pa.float64()) for name in SPAN),
        ]
    )
