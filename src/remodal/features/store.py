"""A content-addressed, crash-safe, memory-mapped store with two levels: tokens, and frozen features.

LMDB holds one value an item and level, under a hash of the content (:mod:`remodal.features.entries`), so the same
content is never computed twice, whatever its name. A transaction is whole or absent: a process killed while writing
leaves what was committed before. Beside them lies a small record of each pass over items, so that what was used longest
ago can go first (:mod:`remodal.features.trimming`).
"""

from __future__ import annotations

import hashlib
import struct
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from itertools import islice, takewhile
from pathlib import Path
from shutil import rmtree
from threading import Lock
from typing import Any, NamedTuple
from weakref import WeakValueDictionary

import lmdb
import numpy as np
import torch
from filelock import FileLock
from numpy.typing import NDArray
from torch import Tensor

from remodal.backbones import StoredTokens
from remodal.errors import RemodalError
from remodal.features.entries import encoded, features_in, features_key, frames_of, is_features, tokens_in

MAP_SIZE = 1 << 38
"""Bytes of address space; the file itself grows only as it is filled."""
READY = ".ready"
"""The folder of files that are about to take the store's place."""
COPIED = 1024
"""Entries that are copied at a time."""
_OPEN: WeakValueDictionary[tuple[int, int], Any] = WeakValueDictionary()
"""Environments of this process by device and inode of their file: LMDB wants each to be opened once."""
_OPENING = Lock()


class Level(NamedTuple):
    """What is stored of one level. entries: one an item."""

    entries: int
    bytes: int


class StoreInfo(NamedTuple):
    """What a store holds. bytes: of its files, which keep the room of what was removed for what comes next."""

    path: Path
    tokens: Level
    features: Level
    bytes: int

    @property
    def entries(self) -> int:
        """Of both levels."""
        return self.tokens.entries + self.features.entries


_USE = b"used/"
_TIME = struct.Struct("<d")
START = 8
"""Bytes of a key that tell items apart in the record of a pass."""


class KeyedTokens(StoredTokens):
    """Items of a store, of which it is known where they lie: another process can read them too.

    keys: of all items among which ``positions`` are.
    """

    keys: Sequence[bytes]

    def __init__(self, keys: Sequence[bytes], *items: Any) -> None:
        super().__init__(*items)
        vars(self).update(keys=keys)

    def __getitem__(self, index: Tensor | slice) -> KeyedTokens:
        """The items at ``index``, none of which is read."""
        part = super().__getitem__(index)
        return KeyedTokens(self.keys, part.tower, part.lengths, part.read, part.read_features, part.positions)

    @property
    def own_keys(self) -> list[bytes]:
        """Of these items."""
        return [self.keys[at] for at in self.positions.tolist()]


class FeatureStore:
    """Tokens by key, in a folder. Safe to use from several processes at once, and more than once in one.

    The file is closed when neither a store nor tokens that it gave (:meth:`tokens`) need it any more.

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
            self._env = _opened(path)
        except (OSError, lmdb.Error) as error:
            raise RemodalError(
                f"the feature cache {path} can't be opened ({error}); choose another: REMODAL_CACHE"
            ) from None

    def __enter__(self) -> FeatureStore:
        return self

    def __exit__(self, *_: object) -> None:
        self._env = None

    def get(self, keys: Iterable[bytes]) -> dict[bytes, NDArray[Any]]:
        """The tokens ``[frames, tokens, width]`` of those keys that are stored."""
        found, wanted = {}, list(keys)
        self.bring(wanted)
        with self._env.begin(buffers=True) as transaction:
            for key in wanted:
                value = transaction.get(key)
                if value is not None:
                    found[key] = tokens_in(value).copy()
        return found

    def lengths(self, keys: Iterable[bytes]) -> dict[bytes, int]:
        """Frames of the items of those keys, of either level, that are stored; nothing else of them is read."""
        with self._env.begin(buffers=True) as transaction:
            values = ((key, transaction.get(key)) for key in keys)
            return {key: frames_of(value) for key, value in values if value is not None}

    def tokens(
        self, tower: str, keys: Sequence[bytes], lengths: Sequence[int], *, features_alone: bool = False
    ) -> KeyedTokens:
        """Items that ``tower`` read, given by their keys and frames, as tokens that stay here until they are needed.

        features_alone: their frames are not to be had, whether they are stored or not. Reading raises RemodalError
        where one of them is no longer stored.
        """
        env, path, bring = self._env, self.path, self.bring

        def joined(wanted: Sequence[bytes], array: Callable[[Any], NDArray[Any]]) -> tuple[torch.Tensor, int]:
            """What is stored under these keys, one after the other, and how many of them are gone."""
            bring(wanted)
            with env.begin(buffers=True) as transaction:
                values = [transaction.get(key) for key in wanted]
                there = [array(value) for value in values if value is not None]
                found = torch.from_numpy(np.concatenate(there)) if there else torch.empty(0, device="cpu")
                return found, len(values) - len(there)

        def read(positions: torch.Tensor) -> torch.Tensor:
            found, gone = joined([keys[at] for at in positions.tolist()], tokens_in)
            _refuse_gone(path, gone, len(positions))
            return found

        def read_features(positions: torch.Tensor) -> torch.Tensor | None:
            found, gone = joined([features_key(keys[at]) for at in positions.tolist()], features_in)
            if features_alone:
                _refuse_gone(path, gone, len(positions))
            return None if gone or not len(found) else found

        frames = torch.tensor(lengths, dtype=torch.int64, device="cpu")
        return KeyedTokens(keys, tower, frames, None if features_alone else read, read_features)

    def put(
        self, tokens: Mapping[bytes, NDArray[Any]], features: Mapping[bytes, tuple[int, NDArray[Any]]] | None = None
    ) -> None:
        """Store items by their keys, all or none of them.

        tokens: ``[frames, tokens, width]``. features: frames, and the frozen model's features ``[width]``, float16.
        """
        self.take(encoded(tokens, features or {}))

    def take(self, values: Mapping[bytes, bytes]) -> None:
        """Store what :func:`encoded` gave, all or none of it."""
        with self._env.begin(write=True) as transaction:
            for key, value in values.items():
                transaction.put(key, value)

    def absent(self, keys: Iterable[bytes]) -> list[bytes]:
        """Those of the keys under which nothing is stored here."""
        with self._env.begin(buffers=True) as transaction:
            return [key for key in keys if transaction.get(key) is None]

    def look(self) -> None:
        """Take note of what others have stored since; in a store of one machine there is nothing to be told."""

    def bring(self, keys: Sequence[bytes]) -> None:
        """See that what may lie elsewhere is here, before it is read; nothing does in a store of one machine."""

    def info(self) -> StoreInfo:
        """Entries and bytes of each level, and bytes on disk."""
        size = sum(file.stat().st_size for file in self.path.glob("*.mdb"))
        by_level: dict[bool, list[int]] = {False: [], True: []}
        for key, held in self.sizes().items():
            by_level[is_features(key)].append(held)
        tokens, features = (Level(len(by_level[one]), sum(by_level[one])) for one in (False, True))
        return StoreInfo(self.path, tokens, features, size)

    def count(self) -> int:
        """How many entries there are, of both levels."""
        return self.info().entries

    def sizes(self) -> dict[bytes, int]:
        """Bytes of every entry of both levels, by its key."""
        with self._env.begin(buffers=True) as transaction:
            listed = ((bytes(key), len(value)) for key, value in transaction.cursor())
            return {key: held for key, held in listed if not key.startswith(_USE)}

    def note_use(self, keys: Iterable[bytes]) -> None:
        """Note that a pass has just used the items of these keys; one record, and one for all passes over the same."""
        starts = b"".join(sorted(key[:START] for key in keys))
        if starts:
            # what can't be noted, on a full disk, is only taken to be older than it is
            with suppress(lmdb.Error), self._env.begin(write=True) as transaction:
                transaction.put(_USE + hashlib.sha256(starts).digest(), _TIME.pack(time.time()) + starts)

    def last_used(self) -> dict[bytes, float]:
        """When items were used last, in seconds since 1970, by the first ``START`` bytes of their key."""
        found: dict[bytes, float] = {}
        for value in self._uses().values():
            (at,) = _TIME.unpack_from(value)
            for start in range(_TIME.size, len(value), START):
                item = value[start : start + START]
                found[item] = max(at, found.get(item, at))
        return found

    def _uses(self) -> dict[bytes, bytes]:
        """The records of passes."""
        with self._env.begin() as transaction, transaction.cursor() as cursor:
            there = cursor.set_range(_USE)
            listed = takewhile(lambda entry: entry[0].startswith(_USE), cursor.iternext() if there else ())
            return dict(listed)

    def copy(self, folder: Path, kept: Collection[bytes]) -> None:
        """Make a store in ``folder``, which is empty, of the entries ``kept`` and of what is known of their use."""
        starts = {key[:START] for key in kept}
        uses = [
            key
            for key, value in self._uses().items()
            if any(value[at : at + START] in starts for at in range(_TIME.size, len(value), START))
        ]
        wanted = iter(sorted((*kept, *uses)))  # in their order, so that no page is left half empty
        with FeatureStore(folder) as new:
            while some := list(islice(wanted, COPIED)):
                with self._env.begin(buffers=True) as source, new._env.begin(write=True) as target:
                    for key in some:
                        if (value := source.get(key)) is not None:
                            target.put(key, value, append=True)

    def clear(self) -> int:
        """Forget everything; how many entries there were."""
        entries = self.info().entries
        with self._env.begin(write=True) as transaction:
            transaction.drop(self._env.open_db(None, transaction), delete=False)
        return entries


def _refuse_gone(path: Path, gone: int, of: int) -> None:
    if gone:
        raise RemodalError(
            f"the feature cache {path} was cleared while it was in use: {gone:,} of {of:,} items are gone; "
            "the same command computes them again"
        )


def _opened(path: Path) -> Any:
    """The environment of the folder ``path``."""
    with _OPENING:
        file = path / "data.mdb"
        known = _OPEN.get(_identity(file)) if file.exists() else None
        if known is None:
            with opening(path):
                replace_files(path)
                known = lmdb.open(str(path), map_size=MAP_SIZE, max_dbs=0, readahead=False)
                _OPEN[_identity(file)] = known
        return known


def opening(path: Path) -> FileLock:
    """While it is held, no process opens the store of the folder ``path``; those that have opened it go on."""
    return FileLock(path / ".opening")


def replace_files(path: Path) -> None:
    """Let the files of a smaller store, if there are any that lie ``READY``, take their places in the folder ``path``.

    Called while the store is :func:`opening`. Data and lock belong together; where a process is killed between the two,
    whoever opens the store next goes on.
    """
    ready = path / READY
    for file in ("data.mdb", "lock.mdb"):
        if (ready / file).exists():
            (ready / file).replace(path / file)
    rmtree(ready, ignore_errors=True)


def _identity(file: Path) -> tuple[int, int]:
    found = file.stat()
    return found.st_dev, found.st_ino
