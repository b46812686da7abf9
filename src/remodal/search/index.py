"""Files that can be searched: what is asked of an index and done to it.

One row a file, or one a window of a long sound or clip: where it is, a hash of the file's content, what the model found
in it, its place in the text space, and the lineage of its modality at that time (what the model had learned of it).
Only :meth:`Index.stored` can read them all.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, Self, TypeVar

import numpy as np
import pyarrow as pa

from remodal.below import Found
from remodal.errors import RemodalError, in_one_line
from remodal.features.progress import Progress, Silent
from remodal.modalities import get_modality
from remodal.search import conditions, upkeep
from remodal.search.database import About, add, begin, is_folder, make, opened, other_table, tell, told, writing
from remodal.search.rows import SPAN, Count, File, Hit, Places, Stored

IDENTITY = re.compile(r"[0-9a-f]{64}")
STORED = [field.name for field in fields(Stored)]
CONFLICT = "commit conflict"
"""What LanceDB says where another process was first."""
READ = 4_096
"""Rows that are in memory at once."""
MORE = 4
"""So many times as many rows are looked at where many are windows of the same files."""


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
    def create(cls, uri: str, model: str, fingerprint: str, width: int) -> Index:
        """An empty index for embeddings of ``width`` numbers; or the one there, which is told where its model is now.

        Raises:
            RemodalError: There is one that was made with another backbone, or none can be made.
        """
        about = About(model, fingerprint)
        with in_one_line(f"{uri}: no index can be made there"):
            if is_folder(uri):
                Path(uri).mkdir(parents=True, exist_ok=True)
            with writing(uri):
                make(uri, about, width)
            index = cls.open(uri).of(fingerprint)
            if index.about.model != model:
                index.about = index.about._replace(model=model)
                with writing(uri):
                    tell(uri, index.about)
            return index

    @classmethod
    def open(cls, uri: str) -> Self:
        """The index there, as it was last made.

        Raises:
            RemodalError: There is none.
        """
        with in_one_line(f"{uri}: the index can't be opened"):
            found = opened(uri)
        if found is None:
            raise RemodalError(f"{uri}: found no index; valid: what remodal index MODEL FOLDER --into {uri} makes")
        return cls(uri, *found)

    @_reaching
    def of(self, fingerprint: str) -> Index:
        """What is stored for the backbone of that fingerprint.

        Raises:
            RemodalError: The index was made with another one.
        """
        if self.about.fingerprint == fingerprint:
            return self
        if (found := opened(self.uri, fingerprint)) is None:
            made = self.about.fingerprint
            raise RemodalError(
                f"{self.uri}: made with the backbone {made}, but the model's is {fingerprint}; make a new index"
            )
        return type(self)(self.uri, *found)

    @_reaching
    def beside(self, model: str, fingerprint: str, width: int) -> Index:
        """An empty table for another backbone, which nobody reads before :meth:`switch`; or what is left of one."""
        about = About(model, fingerprint, other_table(fingerprint))
        with writing(self.uri):
            return type(self)(self.uri, begin(self.uri, about, width), about)

    @_reaching
    def switch(self) -> None:
        """Be the index from now on; what it was before stays beside it, for who goes back, and what was before that
        goes.
        """
        with writing(self.uri):
            add(self.uri, self.about)

    @_reaching
    def all(self) -> list[Index]:
        """What is stored for each backbone."""
        found = (opened(self.uri, one.fingerprint) for one in told(self.uri))
        return [type(self)(self.uri, *one) for one in found if one is not None]

    @_reaching
    def __len__(self) -> int:
        """Rows: files, and windows of long ones."""
        return int(self._table.count_rows())

    @_reaching
    def count(self) -> Count:
        """How many files there are; those that are cut in windows are looked at one by one."""
        windows = int(self._table.count_rows(conditions.WINDOW))
        long = len({row["path"] for row in self._rows(conditions.WINDOW, ["path"])}) if windows else 0
        return Count(len(self) - windows + long, long, windows)

    @_reaching
    def put(self, files: Sequence[Stored]) -> None:
        """Add files and windows, or replace what is stored of them; all or none."""
        if files:
            rows = pa.Table.from_pylist([{"id": one.id, **asdict(one)} for one in files], schema=self._table.schema)
            merge = self._table.merge_insert("id").when_matched_update_all().when_not_matched_insert_all()
            # LanceDB sees that two processes insert the same file only where it reads the ids without their index:
            # that is slow where they are many, and nothing that processes need who wait for each other
            with writing(self.uri):
                merge.use_index(is_folder(self.uri)).execute(rows)

    @_reaching
    def remove(self, ids: Iterable[str]) -> None:
        """Forget files and windows."""
        for some in conditions.among("id", filter(IDENTITY.fullmatch, ids)):
            with writing(self.uri):
                self._table.delete(some)

    @_reaching
    def remove_below(self, folder: Path) -> int:
        """Forget the files below a folder, which is an absolute path; how many they were."""
        files = len({one.path for one in self.below(folder)})
        with writing(self.uri):
            self._table.delete(conditions.below(folder))
        return files

    def below(self, folder: Path) -> Iterator[File]:
        """What is stored of the files below a folder, which is an absolute path; read piece by piece."""
        return self._files(conditions.below(folder))

    @_reaching
    def files(self, paths: Iterable[str]) -> dict[str, list[File]]:
        """What is stored of some files, by their paths: each as a whole, or its windows."""
        found: dict[str, list[File]] = {}
        for some in conditions.of(paths):
            for one in self._files(some):
                found.setdefault(one.path, []).append(one)
        return found

    def with_content(self, contents: Iterable[str]) -> Iterator[File]:
        """All files of such contents."""
        for some in conditions.among("content", contents):
            yield from self._files(some)

    def folders(self) -> list[str]:
        """The folders that files were found below, sorted."""
        return sorted({row["folder"] for row in self._rows(None, ["folder"])})

    @_reaching
    def stored(self, paths: Iterable[str] | None = None) -> list[Stored]:
        """What is stored of some files, or of all: then it is as large as the index."""
        which = [None] if paths is None else conditions.of(paths)
        return [Stored(**row) for some in which for row in self._rows(some, STORED)]

    @_reaching
    def stale(self, lineage: Mapping[str, str]) -> dict[str, int]:
        """How many files and windows of each modality were embedded when the model had not learned what it has now.

        lineage: the model's, by modality.
        """
        counts = {
            name: int(self._table.count_rows(conditions.stale({name: learned}))) for name, learned in lineage.items()
        }
        return {name: count for name, count in counts.items() if count}

    def stale_files(self, lineage: Mapping[str, str]) -> Iterator[File]:
        """The files and windows that :meth:`stale` counts. They may be put again meanwhile, and it may take days."""
        return self._in_order(conditions.stale(lineage))

    def all_files(self) -> Iterator[File]:
        """All files and windows."""
        return self._in_order("true")

    @_reaching
    def search(
        self, vector: Sequence[float], modalities: Sequence[str] = (), top: int = 10, *, windows: bool = False
    ) -> list[Hit]:
        """The ``top`` files nearest to ``vector``, nearest first; of some modalities, or of all.

        A long file is found by its nearest window, once; with ``windows`` each of its windows is found by itself.
        Exact in a small index, and among few files of a large one. Else one of the ten nearest is missed now and then.
        """
        wanted = top
        while True:
            found = self._nearest(vector, modalities, wanted)
            best: dict[str, Hit] = {}
            for hit in found:
                best.setdefault(hit.id if windows else hit.path, hit)
            if len(best) >= top or len(found) < wanted:
                return list(best.values())[:top]
            wanted *= MORE

    def _nearest(self, vector: Sequence[float], modalities: Sequence[str], top: int) -> list[Hit]:
        """The ``top`` nearest rows."""
        query = self._table.search(list(vector)).distance_type("cosine").limit(top)
        rows = wanted = len(self)
        if modalities:
            some = " OR ".join(conditions.among("modality", (get_modality(name).name for name in modalities)))
            query, wanted = query.where(some, prefilter=True), self._table.count_rows(some)
        if upkeep.exact(rows, wanted):
            query = query.bypass_vector_index()
        else:
            query = query.nprobes(upkeep.probes(rows, wanted)).refine_factor(upkeep.REFINED)
        columns = ["id", "path", "modality", "label", *SPAN]
        found = query.select([*columns, "_distance"]).to_list()
        return [Hit(**{name: row[name] for name in columns}, nearness=1 - row["_distance"]) for row in found]

    @_reaching
    def places(self, most: int) -> Places:
        """Where files and windows are: all, or about ``most`` that chance chose, the same ones each time."""
        rows, columns = len(self), ("label", "modality", "path")
        found = list(self._rows(conditions.share(most / rows) if rows > most else None, [*columns, "vector"]))
        labels, modalities, files = ([row[name] for row in found] for name in columns)
        vectors = np.stack([row["vector"] for row in found]) if found else np.zeros((0, 0), dtype=np.float32)
        return Places(labels, modalities, vectors, files)

    @property
    def state(self) -> int:
        """A number that is another one whenever what is stored has changed."""
        return int(self._table.version)

    @_reaching
    def file(self, identity: str) -> Found | None:
        """The file with that id, or that a window with that id is of; None where the index has none such.

        It may have gone since, or be a link now.
        """
        if not IDENTITY.fullmatch(identity):
            return None
        rows = self._table.search().where(f"id = '{identity}'").select(["folder", "path"]).limit(1).to_list()
        return Found(Path(rows[0]["folder"]), Path(rows[0]["path"])) if rows else None

    @_reaching
    def tidy(self, progress: Progress | None = None) -> None:
        """Join small pieces that updates left, drop states nobody reads any more, and make a large index fast.

        Of a large index this takes long when much has changed, and nothing otherwise.
        """
        try:
            with writing(self.uri):
                upkeep.tidy(self._table, progress or Silent())
        except Exception as error:
            if CONFLICT not in str(error):
                raise
            # another process writes to the object store: whoever tidies next does this too

    def _in_order(self, condition: str) -> Iterator[File]:
        """Those that a condition holds of, of each slice sorted by file and time."""
        for some in conditions.slices(len(self)):
            found = self._files(f"{some} AND ({condition})")
            yield from sorted(found, key=lambda one: (one.path, one.start or 0.0))

    def _files(self, condition: str) -> Iterator[File]:
        return (File(**row) for row in self._rows(condition, list(File._fields)))

    def _rows(self, condition: str | None, columns: Sequence[str]) -> Iterator[dict[str, Any]]:
        """The rows that a condition holds of, piece by piece."""
        with in_one_line(f"{self.uri}: the index can't be used"):
            query = self._table.search().select(list(columns))
            for piece in (query if condition is None else query.where(condition)).to_batches(READ):
                yield from _as_python(piece)


def _as_python(piece: pa.RecordBatch) -> Iterator[dict[str, Any]]:
    """The rows of a piece; the vectors stay arrays."""
    if "vector" not in piece.schema.names:
        yield from piece.to_pylist()
        return
    vectors = piece.column("vector").flatten().to_numpy().reshape(len(piece), -1)
    for row, vector in zip(piece.drop_columns(["vector"]).to_pylist(), vectors, strict=True):
        yield {**row, "vector": vector}
