"""The stem pass: every item goes through the frozen network once, and its tokens are stored.

Items are read, hashed and decoded in threads (the decoders release the interpreter's lock) while the network computes
on full batches of frames, whatever items the frames belong to.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from remodal.backbones.base import Backbone, Tower
from remodal.errors import BadItem
from remodal.features.progress import Progress, Silent
from remodal.features.source import Encoded
from remodal.features.store import FeatureStore, token_key
from remodal.modalities import get_modality

BATCH_FRAMES = 32
DECODING_THREADS = 2
AHEAD = 64
"""Items decoded before the network takes them: bounds memory."""
COMMIT_ITEMS = 256

T = TypeVar("T")
R = TypeVar("R")


class Rejected(NamedTuple):
    """An item that could not be read or decoded, and why."""

    id: str
    reason: str


@dataclass
class Extracted:
    """Tokens ``[frames, tokens, width]`` by item id, what was rejected, and how the time was spent."""

    tokens: dict[str, NDArray[np.float16]] = field(default_factory=dict)
    rejected: list[Rejected] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=lambda: {"decode": 0.0, "stem": 0.0})


class _Prepared(NamedTuple):
    item: Encoded
    key: bytes
    frames: NDArray[Any]
    seconds: float


def extract(
    items: Sequence[Encoded], backbone: Backbone, store: FeatureStore, progress: Progress | None = None
) -> Extracted:
    """Tokens of ``items``, computed where the store doesn't have them.

    Which items are computed together never changes a bit of their tokens.
    """
    shown, done = progress or Silent(), Extracted()
    with ThreadPoolExecutor(DECODING_THREADS) as pool:
        keyed = _look_up(items, backbone, store, pool, shown, done)
        for tower in backbone.towers.values():
            missing = [(item, key) for item, key in keyed if backbone.tower(item.modality) is tower]
            if missing:
                _compute(missing, tower, store, pool, shown, done)
    done.rejected.sort()
    return done


def _look_up(
    items: Sequence[Encoded],
    backbone: Backbone,
    store: FeatureStore,
    pool: ThreadPoolExecutor,
    progress: Progress,
    done: Extracted,
) -> list[tuple[Encoded, bytes]]:
    """Take what the store has; what it lacks comes back with its key."""

    def key_of(item: Encoded) -> bytes | Rejected:
        try:
            return token_key(backbone.fingerprint, item.modality, item.unit, item.read())
        except BadItem as bad:
            return Rejected(item.id, bad.reason)

    started = time.perf_counter()
    keyed: list[tuple[Encoded, bytes]] = []
    with progress.work("read", len(items)) as count:
        for item, key in zip(items, _ahead(pool, key_of, items)):
            count()
            if isinstance(key, Rejected):
                done.rejected.append(key)
            else:
                keyed.append((item, key))
    stored = store.get(key for _, key in keyed)
    for item, key in keyed:
        if key in stored:
            done.tokens[item.id] = stored[key]
    done.seconds["decode"] += time.perf_counter() - started
    return [(item, key) for item, key in keyed if key not in stored]


def _compute(
    missing: Sequence[tuple[Encoded, bytes]],
    tower: Tower,
    store: FeatureStore,
    pool: ThreadPoolExecutor,
    progress: Progress,
    done: Extracted,
) -> None:
    def prepare(entry: tuple[Encoded, bytes]) -> _Prepared | Rejected:
        item, key = entry
        started = time.perf_counter()
        try:
            medium = get_modality(item.modality).decode(item.read(), where=item.id, unit=item.unit)
        except BadItem as bad:
            return Rejected(item.id, bad.reason)
        frames = tower.prepare(item.modality, medium)
        return _Prepared(item, key, frames, time.perf_counter() - started)

    uncommitted: dict[bytes, NDArray[np.float16]] = {}
    waiting: list[_Prepared] = []

    def flush() -> None:
        started = time.perf_counter()
        tokens = tower.stem(np.concatenate([prepared.frames for prepared in waiting]))
        done.seconds["stem"] += time.perf_counter() - started
        start = 0
        for prepared in waiting:
            own = tokens[start : start + len(prepared.frames)]
            start += len(prepared.frames)
            uncommitted[prepared.key] = done.tokens[prepared.item.id] = own
        waiting.clear()
        if len(uncommitted) >= COMMIT_ITEMS:
            store.put(uncommitted)
            uncommitted.clear()

    with progress.work(f"stem ({tower.name})", len(missing)) as count:
        for prepared in _ahead(pool, prepare, missing):
            count()
            if isinstance(prepared, Rejected):
                done.rejected.append(prepared)
                continue
            done.seconds["decode"] += prepared.seconds
            waiting.append(prepared)
            if sum(len(one.frames) for one in waiting) >= BATCH_FRAMES:
                flush()
        if waiting:
            flush()
    store.put(uncommitted)


def _ahead(pool: ThreadPoolExecutor, work: Any, entries: Iterable[T]) -> Iterator[Any]:
    """``map`` in the pool, in order, with at most ``AHEAD`` results waiting."""
    pending: deque[Future[Any]] = deque()
    for entry in entries:
        pending.append(pool.submit(work, entry))
        if len(pending) >= AHEAD:
            yield pending.popleft().result()
    while pending:
        yield pending.popleft().result()
