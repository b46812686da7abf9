"""The stem pass: every item goes through the frozen network once, and what will be asked of it is stored.

That is its tokens, and its frozen features where those take long to compute; the features alone, which are smaller,
where nobody asks for more (:data:`NeedsTokens`).

Each of a few threads takes a handful of items at a time and does all that they need: read, hash, look up, decode, run
the network. The decoders and the network release the interpreter's lock, so one thread decodes while another computes,
no core waits for another one, and only what a handful needs is in memory. Tokens are stored as they come, by the
calling thread: a process killed in between loses the last ``COMMIT_ITEMS`` at most, and work that is broken off what
was done ahead of its turn.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from itertools import groupby, islice, repeat
from threading import Semaphore
from typing import Any, NamedTuple, Protocol, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from remodal.backbones import Backbone, Encoder, Tokens, Tower
from remodal.errors import BadItem, shortened
from remodal.features.entries import features_key, token_key
from remodal.features.progress import Progress, Silent
from remodal.features.source import Encoded, Window
from remodal.features.store import FeatureStore
from remodal.modalities import get_modality, get_timed
from remodal.modalities.base import Refused

HANDFUL = {"cpu": 4, "cuda": 256, "mps": 16}
"""Items that one thread takes at a time, at most, by the kind of device: a GPU wants many at once."""
BATCH_FRAMES = {"cpu": 32, "cuda": 512, "mps": 64}
"""Frames that the network takes at a time, at most."""
WINDOWS = 64
"""Windows of one file that a thread takes at a time, at most: it decodes them in one go."""
AHEAD = {"cpu": 4, "cuda": 1, "mps": 4}
"""Handfuls a thread that may be done before their turn: bounds memory."""
COMPUTING = 2
"""Threads that may use a GPU at a time: one computes what the other sends and fetches, and tokens come steadily."""
COMMIT_ITEMS = {"cpu": 256, "cuda": 1024, "mps": 256}

Entry = TypeVar("Entry")
Result = TypeVar("Result")


class Rejected(NamedTuple):
    """An item that could not be read or decoded, and why."""

    id: str
    reason: str


@dataclass
class Extracted:
    """Where items are stored, what was rejected, and how the time was spent.

    keys: by item id, the key of its tokens: equal where the content is (:func:`~remodal.features.entries.token_key`).
    lengths: by item id, frames. features_alone: names of the towers of whose items no tokens are to be had. seconds: of
    all threads together, over their number; so the sum is the time that passed.
    """

    keys: dict[str, bytes] = field(default_factory=dict)
    lengths: dict[str, int] = field(default_factory=dict)
    rejected: list[Rejected] = field(default_factory=list)
    features_alone: frozenset[str] = frozenset()
    seconds: dict[str, float] = field(default_factory=lambda: {"decode": 0.0, "stem": 0.0})

    def tokens(self, store: FeatureStore, tower: str, ids: Sequence[str]) -> Tokens:
        """Of items that this tower read, which ``store`` has."""
        keys, lengths = [self.keys[id] for id in ids], [self.lengths[id] for id in ids]
        return store.tokens(tower, keys, lengths, features_alone=tower in self.features_alone)


NeedsTokens = Callable[[Tower], bool]
"""Whether the tokens of items that a tower reads will be asked for, and not their frozen features alone."""


def always(_: Tower) -> bool:
    """Tokens are needed."""
    return True


def features_alone(backbone: Backbone, needs_tokens: NeedsTokens) -> frozenset[str]:
    """Names of the towers of whose items frozen features are stored, and no tokens."""
    towers = backbone.towers.items()
    return frozenset(name for name, one in towers if one.encoder.keeps_features and not needs_tokens(one))


class Turns(NamedTuple):
    """How many threads may decode, and compute, at a time."""

    decode: Semaphore
    compute: Semaphore


@dataclass
class _Found:
    """What a thread found of a handful: keys and frames by id, what is new, what was rejected, and seconds."""

    keys: dict[str, bytes] = field(default_factory=dict)
    lengths: dict[str, int] = field(default_factory=dict)
    tokens: dict[bytes, NDArray[Any]] = field(default_factory=dict)
    features: dict[bytes, tuple[int, NDArray[Any]]] = field(default_factory=dict)
    rejected: list[Rejected] = field(default_factory=list)
    decode: float = 0.0
    stem: float = 0.0


class StemPass(Protocol):
    """Who sees that a store has what will be asked of items, wherever that is computed: see :func:`extract`."""

    def __call__(
        self,
        items: Sequence[Encoded],
        backbone: Backbone,
        store: FeatureStore,
        progress: Progress | None = None,
        needs_tokens: NeedsTokens = ...,
    ) -> Extracted:
        """Where the items are stored, and what was rejected."""


def extract(
    items: Sequence[Encoded | Window],
    backbone: Backbone,
    store: FeatureStore,
    progress: Progress | None = None,
    needs_tokens: NeedsTokens = always,
) -> Extracted:
    """See that the store has what will be asked of ``items``: what it lacks is computed.

    Tokens that nobody needs are left out where the encoder keeps features, which are stored at any rate. Which items
    are computed together never changes a bit of their tokens. As many threads as torch would use.
    """
    alone = features_alone(backbone, needs_tokens)
    shown, done = progress or Silent(), Extracted(features_alone=alone)
    threads, device = torch.get_num_threads(), backbone.engine.device.type
    uncommitted = _Found()
    # on a CPU half of the threads decode while the others compute
    ways = (max(1, threads // 2), threads) if device == "cpu" else (threads, COMPUTING)
    turns = Turns(*map(Semaphore, ways))
    # what a worker computes with torch stays in that worker: a thread inside a thread waits more than it works
    with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool, ExitStack() as at_end:
        at_end.callback(lambda: store.note_use(done.keys.values()))
        at_end.callback(store.put, uncommitted.tokens, uncommitted.features)
        at_end.callback(pool.shutdown, cancel_futures=True)  # first: what waits isn't begun where work is broken off
        for name, tower in backbone.towers.items():
            own = [item for item in items if backbone.tower(item.read_as) is tower]
            if not own:
                continue
            work = partial(
                _process, tower=tower, alone=name in alone, fingerprint=backbone.fingerprint, store=store, turns=turns
            )
            handfuls = list(_handfuls(own, threads, HANDFUL[device]))
            kinds = ", ".join(f"{number:,} {name}" for name, number in Counter(item.read_as for item in own).items())
            with shown.work(f"frozen features ({kinds})", len(own)) as count:
                for handful, found in zip(handfuls, _ahead(pool, work, handfuls, AHEAD[device] * threads)):
                    done.lengths.update(found.lengths)
                    done.keys.update(found.keys)
                    done.rejected.extend(found.rejected)
                    done.seconds["decode"] += found.decode / threads
                    done.seconds["stem"] += found.stem / threads
                    uncommitted.tokens.update(found.tokens)
                    uncommitted.features.update(found.features)
                    if max(len(uncommitted.tokens), len(uncommitted.features)) >= COMMIT_ITEMS[device]:
                        store.put(uncommitted.tokens, uncommitted.features)
                        uncommitted.tokens.clear()
                        uncommitted.features.clear()
                    count(len(handful))
    done.rejected.sort()
    return done


def _handfuls(items: Sequence[Encoded | Window], threads: int, most: int) -> Iterator[Sequence[Encoded | Window]]:
    """Items that one thread takes at a time; windows of one file are together."""
    for file, alike in groupby(items, lambda item: item.file if isinstance(item, Window) else None):
        own = list(alike)
        some = min(most if file is None else WINDOWS, -(-len(own) // threads))
        yield from (own[start : start + some] for start in range(0, len(own), some))


def _process(
    items: Sequence[Encoded | Window], tower: Tower, alone: bool, fingerprint: str, store: FeatureStore, turns: Turns
) -> _Found:
    """All that ``items`` need. alone: features alone."""
    found = _Found()
    missing: list[tuple[Encoded | Window, bytes, NDArray[Any]]] = []
    windows: list[tuple[Window, bytes]] = []
    with turns.decode:
        started = time.perf_counter()
        for item in items:
            try:
                data = item.tag() if isinstance(item, Window) else item.read()
                key = token_key(fingerprint, item.read_as, item.unit, data)
                wanted = [] if alone else [key]
                if tower.encoder.keeps_features:
                    wanted.append(features_key(key))
                stored = store.lengths(wanted)
                if len(stored) == len(wanted):
                    found.lengths[item.id] = stored[wanted[0]]
                elif isinstance(item, Window):
                    windows.append((item, key))
                    continue
                else:
                    medium = get_modality(item.read_as).decode(data, where=item.id, unit=item.unit)
                    missing.append((item, key, tower.encoder.prepare(item.read_as, medium)))
                found.keys[item.id] = key
            except BadItem as bad:
                found.rejected.append(Rejected(item.id, bad.reason))
        for (window, key), part in zip(windows, _decoded([window for window, _ in windows]), strict=True):
            if isinstance(part, Refused):
                found.rejected.append(Rejected(window.id, str(part)))
            else:
                missing.append((window, key, tower.encoder.prepare(window.read_as, part)))
                found.keys[window.id] = key
    decoded = time.perf_counter()
    some = HANDFUL[tower.encoder.engine.device.type]
    for start in range(0, len(missing), some):
        with turns.compute:
            _compute(found, missing[start : start + some], tower, alone)
    found.decode, found.stem = decoded - started, time.perf_counter() - decoded
    return found


def _compute(
    found: _Found, missing: Sequence[tuple[Encoded | Window, bytes, NDArray[Any]]], tower: Tower, alone: bool
) -> None:
    """What is to be stored of items that were decoded, given with their keys and what the encoder has prepared."""
    tokens = stem([(item.read_as, prepared) for item, _, prepared in missing], tower.encoder)
    keys, lengths = [key for _, key, _ in missing], tokens.lengths.tolist()
    found.lengths.update({item.id: length for (item, _, _), length in zip(missing, lengths)})
    if tower.encoder.keeps_features:
        features = tower.frozen(tokens).half().cpu().numpy()
        found.features.update({key: (length, row) for key, length, row in zip(keys, lengths, features)})
    if not alone:
        parts = np.split(tokens.frames.cpu().numpy(), tokens.lengths.cumsum(0)[:-1].numpy())
        found.tokens.update(zip(keys, parts))


def _decoded(windows: Sequence[Window]) -> Iterator[NDArray[Any] | Refused]:
    """Windows of one file, decoded one after the other; or why one can't be."""
    done = 0
    try:
        if windows:
            with windows[0].open() as file:
                reader = get_timed(windows[0].read_as)
                for part in reader.windows(file, [one.span for one in windows], str(windows[0].file.path)):
                    done += 1
                    yield part
    except Exception as error:  # a decoder given broken bytes raises whatever its parts raise
        reason = error.reason if isinstance(error, BadItem) else shortened(str(error)) or type(error).__name__
        yield from repeat(Refused(reason), len(windows) - done)


def stem(items: Sequence[tuple[str, NDArray[Any]]], encoder: Encoder) -> Tokens:
    """Tokens of the items, each given as its modality and what the encoder has prepared of it.

    They are where the encoder leaves them: on a GPU, if that has computed them.
    """
    frames = np.concatenate([encoder.normalised(modality, prepared) for modality, prepared in items])
    some = max(1, BATCH_FRAMES[encoder.engine.device.type] // encoder.cost)
    batches = [torch.as_tensor(encoder.stem(frames[start : start + some])) for start in range(0, len(frames), some)]
    lengths = torch.tensor([len(prepared) for _, prepared in items], dtype=torch.int64, device="cpu")
    return Tokens(encoder.name, batches[0] if len(batches) == 1 else torch.cat(batches), lengths)


def _ahead(
    pool: ThreadPoolExecutor, work: Callable[[Entry], Result], entries: Iterable[Entry], limit: int
) -> Iterator[Result]:
    """``map`` in the pool, in order, with at most ``limit`` results waiting; the pool works while one is taken."""
    waiting = iter(entries)
    pending: deque[Future[Result]] = deque(pool.submit(work, entry) for entry in islice(waiting, limit))
    while pending:
        result = pending.popleft().result()
        pending.extend(pool.submit(work, entry) for entry in islice(waiting, 1))
        yield result
