"""A content-addressed, crash-safe, memory-mapped store of frozen tokens.

LMDB holds one value an item: its tokens as float16 behind a header of their shape. The key is a hash of the item's
bytes, of how they are read, and of the backbone, so the same content is never computed twice, whatever its name.
A transaction is whole or absent: a process killed while writing leaves what was committed before.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import lmdb
import numpy as np
from numpy.typing import NDArray

from remodal.errors import RemodalError

MAP_SIZE = 1 << 38
"""Bytes of address space; the file itself grows only as it is filled."""
_HEADER = struct.Struct("<3I")


class StoreInfo(NamedTuple):
    """What a store holds."""

    path: Path
    entries: int
    bytes: int


def token_key(fingerprint: str, modality: str, unit: str | None, data: bytes) -> bytes:
    """Key of the tokens of ``data`` read as ``modality`` (depth in ``unit``) by the backbone ``fingerprint``."""
    digest = hashlib.sha256(f"{fingerprint}\0{modality}\0{unit or ''}\0".encode())
    digest.update(data)
    return digest.digest()


class FeatureStore:
    """Tokens by key, in a folder. Safe to use from several processes at once.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with FeatureStore(Path(folder)) as store:
    ...         store.put({b"k": np.ones((1, 4, 8), np.float16)})
    ...         store.get([b"k", b"absent"])[b"k"].shape, store.info().entries
    ((1, 4, 8), 1)
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            path.mkdir(parents=True, exist_ok=True)
            self._env: Any = lmdb.open(str(path), map_size=MAP_SIZE, max_dbs=0, readahead=False)
        except (OSError, lmdb.Error) as error:
            raise RemodalError(
                f"the feature cache {path} can't be opened ({error}); choose another: REMODAL_CACHE"
            ) from None

    def __enter__(self) -> FeatureStore:
        return self

    def __exit__(self, *_: object) -> None:
        self._env.close()

    def get(self, keys: Iterable[bytes]) -> dict[bytes, NDArray[np.float16]]:
        """The tokens ``[frames, tokens, width]`` of those keys that are stored."""
        found = {}
        with self._env.begin(buffers=True) as transaction:
            for key in keys:
                value = transaction.get(key)
                if value is not None:
                    shape = _HEADER.unpack_from(value)
                    found[key] = np.frombuffer(value, np.float16, offset=_HEADER.size).reshape(shape).copy()
        return found

    def put(self, tokens: Mapping[bytes, NDArray[np.float16]]) -> None:
        """Store tokens, all or none of them."""
        with self._env.begin(write=True) as transaction:
            for key, array in tokens.items():
                transaction.put(key, _HEADER.pack(*array.shape) + np.ascontiguousarray(array).tobytes())

    def info(self) -> StoreInfo:
        """Entries, and bytes on disk."""
        size = sum(file.stat().st_size for file in self.path.glob("*.mdb"))
        return StoreInfo(self.path, int(self._env.stat()["entries"]), size)

    def clear(self) -> int:
        """Forget everything; how many entries there were."""
        entries = self.info().entries
        with self._env.begin(write=True) as transaction:
            transaction.drop(self._env.open_db(None, transaction), delete=False)
        return entries
