"""The stem pass on a cluster: each worker reads, decodes and embeds items, and writes shards of what it made.

What comes out is what the pass of one machine gives: keys are hashes of content, and which items are computed together
never changes a bit of them. So an item that was done twice, since a machine died, is the same item.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from remodal.backbones import Backbone, Engine
from remodal.cache import cache_folder
from remodal.cluster.session import Cluster
from remodal.cluster.spread import spread
from remodal.errors import RemodalError
from remodal.features.extract import COMMIT_ITEMS, Extracted, NeedsTokens, always, extract
from remodal.features.progress import Progress, Silent
from remodal.features.shared import open_store
from remodal.features.source import Encoded
from remodal.features.store import FeatureStore
from remodal.learning.opening import backbone_for
from remodal.learning.settings import RunSettings

ROUNDS = 4
"""Parts a worker, at least, where there are items enough: who is faster does more of them."""
THREADS_A_GPU = 8
"""That decode for it, at most."""


@dataclass(frozen=True)
class ClusterStem:
    """A :class:`~remodal.features.extract.StemPass`. settings: whose backbone every worker loads."""

    cluster: Cluster
    settings: RunSettings
    engine: Engine

    def __call__(
        self,
        items: Sequence[Encoded],
        backbone: Backbone,
        store: FeatureStore,
        progress: Progress | None = None,
        needs_tokens: NeedsTokens = always,
    ) -> Extracted:
        """As :func:`~remodal.features.extract.extract`. An item that a worker couldn't use is tried here once more."""
        with_tokens = frozenset(name for name, tower in backbone.towers.items() if needs_tokens(tower))
        cpus, gpus = worker_needs(self.engine, self.cluster)
        hands = self.cluster.hands(cpus, gpus)
        # a part is at most what a store takes at a time: one shard
        most = min(COMMIT_ITEMS[self.engine.device.type], max(1, -(-len(items) // (ROUNDS * hands))))
        parts = [items[start : start + most] for start in range(0, len(items), most)]
        make = _Made(self.settings, self.engine, backbone.fingerprint, with_tokens, cpus)
        found = Extracted()
        with (progress or Silent()).work(f"frozen features on {hands} workers", len(items)) as count:
            for at, done in spread(self.cluster, make, parts, cpus=cpus, gpus=gpus):
                _add(found, done, hands)
                count(len(parts[at]))
        store.look()
        names = {rejected.id for rejected in found.rejected}
        again = extract([item for item in items if item.id in names], backbone, store, None, needs_tokens)
        found.rejected.clear()
        _add(found, again, 1)
        found.features_alone = again.features_alone
        found.rejected.sort()
        store.note_use(found.keys.values())
        return found


def worker_needs(engine: Engine, cluster: Cluster) -> tuple[int, int]:
    """CPUs and GPUs of a worker with such an engine."""
    if engine.device.type != "cuda":
        return 1, 0
    return max(1, min(THREADS_A_GPU, cluster.cpus // max(1, cluster.gpus))), 1


@dataclass(frozen=True)
class _Made:
    """Makes a worker. fingerprint: of the backbone that it has to have."""

    settings: RunSettings
    engine: Engine
    fingerprint: str
    with_tokens: frozenset[str]
    threads: int

    def __call__(self) -> _Stem:
        torch.set_num_threads(self.threads)
        backbone = backbone_for(self.settings, cache_folder(), self.engine)
        if backbone.fingerprint != self.fingerprint:
            raise RemodalError(
                f"found the backbone {backbone.fingerprint} on a machine of the cluster, and {self.fingerprint} here; "
                "valid: the same packages and weights on all"
            )
        return _Stem(backbone, open_store(cache_folder() / "features"), self.with_tokens)


@dataclass(frozen=True)
class _Stem:
    """store: is opened once, since that reads which items every shard has."""

    backbone: Backbone
    store: FeatureStore
    with_tokens: frozenset[str]

    def __call__(self, items: Sequence[Encoded]) -> Extracted:
        return extract(items, self.backbone, self.store, needs_tokens=lambda tower: tower.name in self.with_tokens)


def _add(found: Extracted, done: Extracted, hands: int) -> None:
    """hands: that worked at a time, so that seconds are those that passed, about."""
    found.keys.update(done.keys)
    found.lengths.update(done.lengths)
    found.rejected.extend(done.rejected)
    for what, seconds in done.seconds.items():
        found.seconds[what] += seconds / hands
