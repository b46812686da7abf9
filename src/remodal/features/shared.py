"""A feature store that several machines share: what one has computed, none computes again.

The truth lies in shards (:mod:`remodal.features.shards`). Each machine has a store of its own beside them, into which
comes what it reads, and from which it is read: so whoever reads features doesn't see the difference.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from remodal.errors import installed_with
from remodal.features.entries import encoded
from remodal.features.store import FeatureStore

VARIABLE = "REMODAL_SHARED"
"""A folder on a disk that all machines have, or a URL, ``s3://bucket/folder``."""


class SharedStore(FeatureStore):
    """Features in the shards of ``url``, read by way of the store in the folder ``path`` of this machine."""

    def __init__(self, path: Path, url: str) -> None:
        with installed_with("experiments"):
            from remodal.features.shards import Shards
        super().__init__(path)
        self.shards = Shards(url)
        self.look()

    def lengths(self, keys: Iterable[bytes]) -> dict[bytes, int]:
        """Frames of the items that are in the shards; what this machine alone has, others can't read."""
        places = self.shards.places()
        return {key: places[key].frames for key in keys if key in places}

    def count(self) -> int:
        """How many entries the shards have."""
        return len(self.shards.places())

    def put(
        self, tokens: Mapping[bytes, NDArray[Any]], features: Mapping[bytes, tuple[int, NDArray[Any]]] | None = None
    ) -> None:
        """Store items by their keys in one shard."""
        self.shards.write(encoded(tokens, features or {}))

    def look(self) -> None:
        """Take note of shards that have come since the last look."""
        self.shards.look()

    def bring(self, keys: Sequence[bytes]) -> None:
        """Copy the shards of the items that aren't on this machine yet: whoever reads one reads others soon."""
        with FeatureStore(self.path) as here:  # this one may have been closed before its tokens are read
            places = self.shards.places()
            for shard in sorted({places[key].shard for key in here.absent(keys) if key in places}):
                here.take(self.shards.read(shard))


def open_store(path: Path) -> FeatureStore:
    """The store of the folder ``path``; a shared one where the environment names a place for it."""
    url = os.environ.get(VARIABLE)
    return SharedStore(path, url) if url else FeatureStore(path)
