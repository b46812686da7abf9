"""Learning a task on a cluster, as map and reduce: workers learn a part of its items each, and are merged.

Of methods whose state is statistics (:class:`~remodal.methods.additive.Additive`): what the first items of a modality
settle is settled first, here, so that all workers begin alike. Other methods, and tasks of few items, are learned here.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, cast

import torch
from torch import Tensor

from remodal.backbones import Backbone, Engine
from remodal.cache import cache_folder
from remodal.cluster.session import Cluster
from remodal.cluster.tasks import tasks
from remodal.errors import RemodalError
from remodal.features.shared import open_store
from remodal.features.store import KeyedTokens
from remodal.learning.execution import learn
from remodal.learning.opening import backbone_for, method_for
from remodal.learning.settings import RunSettings
from remodal.methods import Method
from remodal.methods.additive import Additive
from remodal.methods.base import State, TaskData
from remodal.streams.base import Column
from remodal.training.trainer import Trainer

FEWEST = 2_000
"""Items a worker: with fewer, merging takes longer than what is spared."""


@dataclass(frozen=True)
class ClusterLearning:
    """A :data:`~remodal.learning.execution.Learn`. fewest: items a worker has, at least."""

    cluster: Cluster
    settings: RunSettings
    engine: Engine
    fewest: int = FEWEST

    def __call__(self, method: Method, task: TaskData, trainer: Trainer) -> None:
        """Learn the task with as many workers as it has items for."""
        hands = min(self.cluster.hands(1, 0), len(task.labels) // self.fewest)
        if not isinstance(method, Additive) or not isinstance(task.tokens, KeyedTokens) or hands < 2:
            learn(method, task, trainer)
            return
        begun = method.begun(task, trainer)
        parts = [_sent(task.part(slice(hand, None, hands))) for hand in range(hands)]
        learned: list[Additive[Any]] = []
        for _, state in tasks(_learned, [(self.settings, self.engine, begun.state(), part) for part in parts]):
            if state is None:
                raise RemodalError("a worker of the cluster died again and again while it learned; out of memory?")
            worker = type(method)(method.backbone, method.settings, method.seed)
            worker.restore(state)
            learned.append(worker)
        method.parts_ = learned[0].merged(*learned[1:], base=begun).parts_


@dataclass(frozen=True)
class _Sent:
    """A task whose tokens lie in the shared store."""

    index: int
    columns: tuple[Column, ...]
    tower: str
    keys: list[bytes]
    lengths: list[int]
    features_alone: bool
    labels: Tensor


def _sent(task: TaskData) -> _Sent:
    tokens = cast(KeyedTokens, task.tokens)
    return _Sent(
        task.index, task.columns, tokens.tower, tokens.own_keys, tokens.lengths.tolist(), not tokens.has_frames,
        task.labels.cpu(),
    )  # fmt: skip


def _learned(settings: RunSettings, engine: Engine, begun: State, part: _Sent) -> State:
    """What a worker has learned of its part; in a process of the cluster."""
    torch.set_num_threads(1)
    backbone = _backbone(settings.model_dump_json(), engine)
    method = method_for(settings, backbone)
    method.restore(begun)
    with open_store(cache_folder() / "features") as store:
        tokens = store.tokens(part.tower, part.keys, part.lengths, features_alone=part.features_alone)
        labels = part.labels.to(backbone.engine.home)
        learn(method, TaskData(part.index, part.columns, tokens, labels), Trainer(settings.seed, part.index))
    return method.state().on(torch.device("cpu"))


@lru_cache(maxsize=1)
def _backbone(settings: str, engine: Engine) -> Backbone:
    """What a process of the cluster remembers from task to task. settings: of the run, as JSON."""
    return backbone_for(RunSettings.model_validate_json(settings), cache_folder(), engine)
