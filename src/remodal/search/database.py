"""Where an index is kept: a LanceDB database of two tables, in a folder or in an object store."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager, nullcontext
from datetime import timedelta
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
    """What an index was made with. model: where it is, as it was last named. fingerprint: of its backbone."""

    model: str
    fingerprint: str


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
    """Store what an index was made with."""
    _connected(uri).create_table(ABOUT, [about._asdict()], mode="overwrite")


def opened(uri: str) -> tuple[Any, About] | None:
    """The table of files, and what the index was made with; None where there is none."""
    if is_folder(uri) and not Path(uri).is_dir():
        return None
    database = _connected(uri)
    if TABLE not in database.list_tables().tables:
        return None
    table = database.open_table(TABLE)
    if not _is_current(table):
        with writing(uri):
            _bring_up(table)
    (about,) = database.open_table(ABOUT).to_arrow().to_pylist()
    return table, About(**about)


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
