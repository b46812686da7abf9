"""Where an index is kept: a LanceDB database, in a folder or in an object store.

It has a table of files, and one of what that was made with. Where a model has moved to another frozen model, it has two
tables of files: an earlier version of the model finds those that it knows.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

from filelock import FileLock

from remodal.errors import installed_with
from remodal.search.rows import SPAN, UNIT, schema

TABLE, ABOUT = "media", "about"
LOCK = ".lock"
SETTINGS = {
    "LANCEDB_LOG": "error",  # what it warns of, such as partitions that are empty, is nobody's concern
    "LANCE_DEFAULT_IO_BUFFER_SIZE": str(1 << 26),  # read ahead of what is computed: 2 GB by default, and no faster
}
INDEX_BYTES, METADATA_BYTES = 1 << 30, 1 << 28
"""Of LanceDB's caches, which a process that goes on fills: 6 GB and 1 GB by default. Ten million codes take 0.7 GB."""


class About(NamedTuple):
    """What a table of files was made with. model: where it is, as it was last named. fingerprint: of its backbone."""

    model: str
    fingerprint: str
    table: str = TABLE


def other_table(fingerprint: str) -> str:
    """Name of a table of files beside the first one, of the backbone of that fingerprint."""
    return f"{TABLE}-{sha256(fingerprint.encode()).hexdigest()[:16]}"


def is_folder(uri: str) -> bool:
    """Whether the index is in a folder of this machine, and not in an object store."""
    return "://" not in uri


def writing(uri: str) -> AbstractContextManager[object]:
    """While the block runs, no other process writes to an index in a folder: they wait for each other."""
    return FileLock(Path(uri) / LOCK) if is_folder(uri) else nullcontext()


def make(uri: str, about: About, width: int) -> None:
    """An empty index for embeddings of ``width`` numbers, where there is none."""
    database = _connected(uri)
    there = database.list_tables().tables
    if TABLE not in there:
        database.create_table(ABOUT, [about._asdict()], mode="overwrite" if ABOUT in there else "create")
        # last: without it there is no index
        database.create_table(TABLE, schema=schema(width), exist_ok=True)


def tell(uri: str, about: About) -> None:
    """Store what a table of files was made with, in place of what is stored of it."""
    _write(uri, [about if one.table == about.table else one for one in told(uri)])


def told(uri: str) -> list[About]:
    """What the tables of files were made with, oldest first."""
    return _told(_connected(uri))


def _told(database: Any) -> list[About]:
    return [About(**row) for row in database.open_table(ABOUT).to_arrow().to_pylist()]


def begin(uri: str, about: About, width: int) -> Any:
    """A table of files that nobody reads before it is added; with what a process that died has left in it."""
    return _connected(uri).create_table(about.table, schema=schema(width), exist_ok=True)


def add(uri: str, about: About) -> None:
    """Have a table of files read from now on, where it is asked for; the newest of the others stays beside it."""
    *before, newest = (one for one in told(uri) if one.table != about.table)
    _write(uri, [newest, about])
    for one in before:
        _connected(uri).drop_table(one.table)


def _write(uri: str, listed: Sequence[About]) -> None:
    _connected(uri).create_table(ABOUT, [one._asdict() for one in listed], mode="overwrite")


def opened(uri: str, fingerprint: str | None = None) -> tuple[Any, About] | None:
    """A table of files, and what it was made with; None where there is none.

    fingerprint: of the backbone; None: the table that was added last.
    """
    if is_folder(uri) and not Path(uri).is_dir():
        return None
    database = _connected(uri)
    if ABOUT not in (there := database.list_tables().tables):
        return None
    wanted = [one for one in _told(database) if fingerprint in (None, one.fingerprint) and one.table in there]
    if not wanted:
        return None
    table = database.open_table(wanted[-1].table)
    if not _is_current(table):
        with writing(uri):
            _bring_up(table)
    return table, wanted[-1]


def _is_current(table: Any) -> bool:
    return {UNIT, *SPAN} <= {*table.schema.names} and not table.schema.field("id").nullable


def _bring_up(table: Any) -> None:
    """Give a table of an earlier version what it lacks."""
    if UNIT not in table.schema.names:
        table.add_columns({UNIT: "''"})
    if missing := [name for name in SPAN if name not in table.schema.names]:
        table.add_columns(dict.fromkeys(missing, "CAST(NULL AS DOUBLE)"))
    if table.schema.field("id").nullable:
        table.alter_columns({"path": "id", "nullable": False})
        table.set_unenforced_primary_key("id")


def _connected(uri: str) -> Any:
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
    with installed_with("search"):
        import lancedb
    return lancedb.connect(
        uri,
        read_consistency_interval=timedelta(0),  # another process may write
        session=lancedb.Session(index_cache_size_bytes=INDEX_BYTES, metadata_cache_size_bytes=METADATA_BYTES),
    )
