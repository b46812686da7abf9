"""Streams that come inside the package: a folder with one Parquet file a modality.

Each row of ``<modality>.parquet`` holds an encoded medium (``media``), its ``id``, ``label``, ``split``,
``group`` (source), ``format``, ``licence``, ``attribution``, and ``hash`` (the medium's SHA-256 as hex).
``<name>.json`` beside them holds, among other things, the SHA-256 of each file.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from remodal.errors import BadItem, RemodalError, installed_with
from remodal.modalities import get_modality
from remodal.streams.base import Item, Quarantined
from remodal.streams.listing import Listing

if TYPE_CHECKING:
    import pyarrow as pa

HERE = Path(__file__).parent
DESCRIBED = ("id", "label", "split", "group", "licence", "attribution", "hash")


@dataclass(frozen=True)
class Shard:
    """One Parquet file, whose media are read when the first of them is asked for, and kept."""

    path: Path

    @cached_property
    def media(self) -> pa.ChunkedArray:
        """The encoded media, one a row."""
        return _columns(self.path, ["media"])["media"]


@dataclass(frozen=True)
class EmbeddedItem(Item):
    """One row of a Parquet file."""

    shard: Shard
    row: int
    attribution: str
    hash: str

    @property
    def file(self) -> Path:
        """The Parquet file."""
        return self.shard.path

    def read(self) -> bytes:
        """The medium. Raises BadItem where it can't be read or isn't what its hash says."""
        try:
            media: bytes = self.shard.media[self.row].as_py()
        except OSError as error:
            raise BadItem(self.id, f"can't be read from {self.shard.path.name} ({error})") from error
        found = sha256(media).hexdigest()
        if found != self.hash:
            raise BadItem(self.id, f"found content with hash {found}; valid: {self.hash}")
        return media


def embedded_names() -> list[str]:
    """The names of the streams inside the package."""
    return sorted(file.stem for file in HERE.glob("*/*.json") if file.stem == file.parent.name)


def list_embedded(folder: Path) -> Listing:
    """List the items of a folder of Parquet files; their media stay on the disk until an item is read.

    Raises:
        RemodalError: There is no file, or one can't be read, lacks a column, or isn't named after a modality.
    """
    items: list[Item] = []
    for path in sorted(folder.glob("*.parquet")):
        modality = get_modality(path.stem).name
        shard = Shard(path)
        try:
            rows = _columns(path, list(DESCRIBED)).to_pylist()
        except OSError as error:
            raise RemodalError(f"{path}: can't be read ({error})") from error
        items += [EmbeddedItem(modality=modality, shard=shard, row=row, **values) for row, values in enumerate(rows)]
    if not items:
        raise RemodalError(f"{folder}: found no item; valid: a folder of <modality>.parquet files")
    return Listing(tuple(items), ())


def altered_files(folder: Path) -> list[Quarantined]:
    """The files that are missing, or whose bytes aren't those that ``<name>.json`` was written for."""
    described = json.loads((folder / f"{folder.name}.json").read_text(encoding="utf-8"))["modalities"]
    altered = []
    for part in described.values():
        path = folder / part["file"]
        found = sha256(path.read_bytes()).hexdigest() if path.is_file() else "none (no such file)"
        if found != part["file_sha256"]:
            altered.append(Quarantined(part["file"], f"found file hash {found}; valid: {part['file_sha256']}"))
    return altered


def _columns(path: Path, names: list[str]) -> pa.Table:
    """Some columns of a Parquet file; the others aren't read. Raises OSError where they can't be read."""
    with installed_with("experiments"):
        import pyarrow as pa
        import pyarrow.parquet as pq
    try:
        with pq.ParquetFile(path, memory_map=True) as file:
            missing = [name for name in names if name not in file.schema_arrow.names]
            if missing:
                found = ", ".join(file.schema_arrow.names)
                raise RemodalError(f"{path}: missing column {', '.join(missing)}; found: {found}")
            return file.read(columns=names)
    except pa.ArrowException as error:
        raise OSError(str(error)) from error
