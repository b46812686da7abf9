"""The database of an index: a LanceDB table, in a folder or in an object store.

One row a file: where it is, a hash of its content, what the model found in it, its place in the text space, and the
lineage of its modality at that time (what the model had learned of it).
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any, Concatenate, NamedTuple, ParamSpec, Self, TypeVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from remodal.errors import RemodalError, in_one_line, installed_with
from remodal.media import Found
from remodal.modalities import get_modality

TABLE, ABOUT = "media", "about"
UNIT = "unit"
IDENTITY = re.compile(r"[0-9a-f]{64}")
OLD = timedelta(days=1)
"""Superseded states of the table are kept so long, for processes that still read them."""


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
        return sha256(self.path.encode()).hexdigest()


class Hit(NamedTuple):
    """A file that was found. nearness: the cosine, at most 1."""

    id: str
    path: str
    modality: str
    label: str
    nearness: float


class About(NamedTuple):
    """What an index was made with. model: where it is, as it was last named. fingerprint: of its backbone."""

    model: str
    fingerprint: str


Asked = ParamSpec("Asked")
Given = TypeVar("Given")


def _reaching(method: Callable[Concatenate[Index, Asked], Given]) -> Callable[Concatenate[Index, Asked], Given]:
    """A method that reaches for the store, which may be far away, full, or not there any more."""

    @functools.wraps(method)
    def reaching(self: Index, /, *args: Asked.args, **kwargs: Asked.kwargs) -> Given:
        with in_one_line(f"{self.uri}: the index can't be used"):
            return method(self, *args, **kwargs)

    return reaching


class Index:
    """Stored files and their places in the text space. RemodalError where the store can't be used.

    uri: a folder, or an object store such as ``s3://bucket/index``.
    """

    def __init__(self, uri: str, table: Any, about: About) -> None:
        self.uri, self.about = uri, about
        self._table = table

    @classmethod
    def create(cls, uri: str, model: str, fingerprint: str, width: int) -> Self:
        """An empty index for embeddings of ``width`` numbers; or the one there, which is told where its model is now.

        Raises:
            RemodalError: There is one that was made with another backbone, or none can be made.
        """
        schema = pa.schema(
            [
                ("id", pa.string()),
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
        about = About(model, fingerprint)
        with in_one_line(f"{uri}: no index can be made there"):
            database = _connected(uri)
            there = database.list_tables().tables
            if TABLE not in there:
                database.create_table(ABOUT, [about._asdict()], mode="overwrite" if ABOUT in there else "create")
                # last: without it there is no index
                database.create_table(TABLE, schema=schema, exist_ok=True)
            index = cls._opened(uri, database)
            index.check(fingerprint)
            if index.about != about:
                database.create_table(ABOUT, [about._asdict()], mode="overwrite")
                index.about = about
            return index

    @classmethod
    def open(cls, uri: str) -> Self:
        """The index there.

        Raises:
            RemodalError: There is none.
        """
        missing = RemodalError(f"{uri}: found no index; valid: what remodal index MODEL FOLDER --into {uri} makes")
        if "://" not in uri and not Path(uri).is_dir():
            raise missing
        with in_one_line(f"{uri}: the index can't be opened"):
            database = _connected(uri)
            if TABLE not in database.list_tables().tables:
                raise missing
            return cls._opened(uri, database)

    @classmethod
    def _opened(cls, uri: str, database: Any) -> Self:
        (about,) = database.open_table(ABOUT).to_arrow().to_pylist()
        table = database.open_table(TABLE)
        if UNIT not in table.schema.names:  # of a version that didn't ask for it
            table.add_columns({UNIT: "''"})
        return cls(uri, table, About(**about))

    def check(self, fingerprint: str) -> None:
        """Raises RemodalError where the index was made with another backbone than the one of that fingerprint."""
        if self.about.fingerprint != fingerprint:
            made = self.about.fingerprint
            raise RemodalError(
                f"{self.uri}: made with the backbone {made}, but the model's is {fingerprint}; make a new index"
            )

    @_reaching
    def __len__(self) -> int:
        return int(self._table.count_rows())

    @_reaching
    def put(self, files: Sequence[Stored]) -> None:
        """Add files, or replace what is stored of them; all or none."""
        if files:
            rows = pa.Table.from_pylist([{"id": one.id, **asdict(one)} for one in files], schema=self._table.schema)
            merge = self._table.merge_insert("id").when_matched_update_all().when_not_matched_insert_all()
            merge.execute(rows)

    @_reaching
    def remove(self, ids: Iterable[str]) -> None:
        """Forget files."""
        listed = [f"'{one}'" for one in ids if IDENTITY.fullmatch(one)]
        if listed:
            self._table.delete(f"id IN ({', '.join(listed)})")

    @_reaching
    def stored(self) -> list[Stored]:
        """What is stored of all files."""
        rows = self._table.to_arrow().drop_columns(["id"])
        vectors = (
            rows["vector"].combine_chunks().flatten().to_numpy().reshape(-1, rows.schema.field("vector").type.list_size)
        )
        listed = rows.drop_columns(["vector"]).to_pylist()
        return [Stored(**row, vector=vector) for row, vector in zip(listed, vectors, strict=True)]

    @_reaching
    def stale(self, lineage: Mapping[str, str]) -> dict[str, int]:
        """How many files of each modality were embedded when the model had not learned what it has now.

        lineage: the model's, by modality.
        """
        counts = {
            name: int(self._table.count_rows(f"modality = '{name}' AND lineage != '{learned}'"))
            for name, learned in lineage.items()
        }
        return {name: count for name, count in counts.items() if count}

    @_reaching
    def search(self, vector: Sequence[float], modalities: Sequence[str] = (), top: int = 10) -> list[Hit]:
        """The ``top`` files nearest to ``vector``, nearest first; of some modalities, or of all."""
        query = self._table.search(list(vector)).distance_type("cosine").limit(top)
        if modalities:
            names = ", ".join(f"'{get_modality(name).name}'" for name in modalities)
            query = query.where(f"modality IN ({names})", prefilter=True)
        rows = query.select(["id", "path", "modality", "label", "_distance"]).to_list()
        return [Hit(row["id"], row["path"], row["modality"], row["label"], 1 - row["_distance"]) for row in rows]

    @_reaching
    def file(self, identity: str) -> Found | None:
        """The file with that id; None where the index has none such. It may have gone since, or be a link now."""
        if not IDENTITY.fullmatch(identity):
            return None
        rows = self._table.search().where(f"id = '{identity}'").select(["folder", "path"]).limit(1).to_list()
        return Found(Path(rows[0]["folder"]), Path(rows[0]["path"])) if rows else None

    @_reaching
    def tidy(self) -> None:
        """Join small pieces that updates left, and drop states nobody reads any more."""
        self._table.optimize(cleanup_older_than=OLD)


def _connected(uri: str) -> Any:
    with installed_with("search"):
        import lancedb
    return lancedb.connect(uri, read_consistency_interval=timedelta(0))  # another process may write
