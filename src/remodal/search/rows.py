"""What a row of an index holds: one row a file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

UNIT = "unit"
KEY = {"lance-schema:unenforced-primary-key:position": "1"}
"""No two rows have the same value here: without this, two processes that insert one file at once would make two."""


def identity(path: str) -> str:
    """A name that can stand in any query: a hash of the path."""
    return sha256(path.encode(errors="surrogateescape")).hexdigest()


class File(NamedTuple):
    """A file as an index knows it. content: a hash of it. folder: it was found below. unit: of depth, where stated."""

    path: str
    content: str
    folder: str
    unit: str

    @property
    def id(self) -> str:
        """Of its row."""
        return identity(self.path)


@dataclass(frozen=True)
class Stored:
    """A file of the index. folder: it was found below. vector: ``[d]``, of length one. unit: of depth, where stated."""

    path: str
    folder: str
    content: str
    modality: str
    label: str
    probability: float
    lineage: str
    vector: NDArray[np.float32] = field(compare=False)
    unit: str = ""

    @property
    def id(self) -> str:
        """A name that can stand in any query: a hash of the path."""
        return identity(self.path)


class Places(NamedTuple):
    """Where files are. labels, modalities: one a file. vectors: ``[n, d]``, of length one."""

    labels: Sequence[str]
    modalities: Sequence[str]
    vectors: NDArray[np.float32]


class Hit(NamedTuple):
    """A file that was found. nearness: the cosine, at most 1. sure: whether it is nearer than what is found by chance;
    None where that wasn't asked, or can't be told (:mod:`remodal.search.chance`).
    """

    id: str
    path: str
    modality: str
    label: str
    nearness: float
    sure: bool | None = None


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
        ]
    )
