"""Files of frozen features in a folder that several machines share, or behind a URL.

A shard is a Parquet file of some items: key, frames, and what a :class:`~remodal.features.store.FeatureStore` holds
under that key. Its name is a hash of its keys, and a key is a hash of the item: so whoever computes the same items once
more writes the same file. A shard is there whole or not at all, and is never changed.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from hashlib import sha256
from typing import Any, NamedTuple

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq

from remodal.errors import in_one_line
from remodal.features.entries import frames_of

SUFFIX = ".parquet"
SCHEMA = pa.schema([("key", pa.binary()), ("frames", pa.uint32()), ("value", pa.large_binary())])


class Place(NamedTuple):
    """Where an item's features lie, and its frames."""

    shard: str
    frames: int


class Shards:
    """The shards of a folder, or of a URL that fsspec knows. Raises RemodalError where it can't be used."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._listed: set[str] = set()
        self._places: dict[bytes, Place] = {}
        with self._reaching():
            self._system, root = fsspec.url_to_fs(url)
            self._root = root.rstrip("/")
            self._system.makedirs(self._root, exist_ok=True)

    def places(self) -> Mapping[bytes, Place]:
        """Of all items that were there when it was last asked for by :meth:`look`, or written since."""
        return self._places

    def look(self) -> None:
        """Take note of shards that have come since the last look."""
        with self._reaching():
            self._system.invalidate_cache(self._root)
            names = {name.rpartition("/")[2] for name in self._system.ls(self._root, detail=False)}
            for name in sorted(names - self._listed):
                if name.endswith(SUFFIX) and not name.startswith("."):
                    with self._system.open(f"{self._root}/{name}", "rb") as file:
                        found = pq.read_table(file, columns=["key", "frames"])
                    self._note(name, dict(zip(found["key"].to_pylist(), found["frames"].to_pylist(), strict=True)))

    def write(self, values: Mapping[bytes, bytes]) -> None:
        """One shard of what :func:`~remodal.features.entries.encoded` gave."""
        if not values:
            return
        keys = sorted(values)
        frames = [frames_of(values[key]) for key in keys]
        name = sha256(b"\0".join(keys)).hexdigest() + SUFFIX
        with self._reaching(), self._whole(name) as file:
            pq.write_table(
                pa.table([keys, frames, [values[key] for key in keys]], schema=SCHEMA), file, compression="none"
            )
        self._note(name, dict(zip(keys, frames)))

    def read(self, shard: str) -> dict[bytes, bytes]:
        """All that a shard holds, by its key."""
        with self._reaching(f" ({shard})"), self._system.open(f"{self._root}/{shard}", "rb") as file:
            held = pq.read_table(file, columns=["key", "value"])
            return dict(zip(held["key"].to_pylist(), held["value"].to_pylist(), strict=True))

    def _note(self, name: str, frames: Mapping[bytes, int]) -> None:
        self._listed.add(name)
        self._places.update({key: Place(name, one) for key, one in frames.items()})

    @contextmanager
    def _whole(self, name: str) -> Iterator[Any]:
        """A file that is there under ``name`` when the block has ended without an error.

        An object store shows a file when it is complete; a disk shows it from its first byte, hence the other name.
        """
        target = f"{self._root}/{name}"
        if "file" not in self._system.protocol:
            with self._system.open(target, "wb") as file:
                yield file
            return
        part = f"{self._root}/.{name}.{uuid.uuid4().hex}.part"
        try:
            with self._system.open(part, "wb") as file:
                yield file
            self._system.mv(part, target)
        finally:
            with suppress(FileNotFoundError):
                self._system.rm_file(part)

    def _reaching(self, what: str = "") -> Any:
        return in_one_line(f"{self.url}{what}: the shared features can't be used")
