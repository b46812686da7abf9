"""What methods with one expert a modality share: a router, and scores of router and expert together.

Not a method itself. A router sees what an item's frames show on average and nothing else (no file type, no number of
frames). Unless a method brings its own, it is the one that ``remodal`` has.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, TypeVar

import torch
from torch import Tensor

from remodal.adaptation.class_router import ClassRouter
from remodal.adaptation.expert import Answering, embeddings
from remodal.adaptation.rows import Rows
from remodal.backbones import Backbone, Tokens
from remodal.methods.base import State, TaskData, readable
from remodal.methods.parts import PartsMethod, put_parts, taken_parts
from remodal.settings import Settings
from remodal.streams.base import Column
from remodal.training.trainer import Trainer

UNKNOWN_MODALITY = math.log(1e-6)
"""Log-probability of a modality that no task has shown yet."""

Part = TypeVar("Part")


class RoutedMethod(PartsMethod[Part]):
    """A method that answers with the expert of the modality that its router finds. One part a modality."""

    router: ClassVar[type[Any]] = ClassRouter
    """The dataclass of each tower's router: it has ``empty``, ``log_probability`` and ``parameters``."""

    def __init__(self, backbone: Backbone, settings: Settings, seed: int) -> None:
        super().__init__(backbone, settings, seed)
        self.routers_ = {name: self.router.empty(tower.identity_width) for name, tower in backbone.towers.items()}

    def learn(self, task: TaskData, trainer: Trainer) -> None:
        """Learn the task with its modality's part, and with the router of its tower."""
        part = self.learned(self.parts_.get(task.modality), task, trainer)
        router = self.routed(task, trainer)
        self.parts_[task.modality], self.routers_[task.tokens.tower] = part, router

    @abstractmethod
    def learned(self, part: Part | None, task: TaskData, trainer: Trainer) -> Part:
        """The modality's part after ``task``; before it, None where the modality is new."""

    def routed(self, task: TaskData, trainer: Trainer) -> Any:
        """The tower's router after ``task``."""
        identity = Rows(task.tokens, self.backbone.towers[task.tokens.tower].identity)
        return self.routers_[task.tokens.tower].learned(identity, task.labels, task.columns)

    @abstractmethod
    def experts(self) -> Mapping[str, Answering]:
        """What answers within each modality seen so far."""

    def scores(self, tokens: Tokens, columns: Sequence[Column]) -> Tensor:
        """``log p(m) + log softmax_c(scale * h_m . w_c / T_m)`` over the candidates c of each modality m.

        A modality without an expert is scored by the frozen model.
        """
        tower, router = self.backbone.towers[tokens.tower], self.routers_[tokens.tower]
        own, experts = readable(tokens, columns, self.backbone), self.experts()
        out = torch.full((len(tokens), len(columns)), -torch.inf)
        prior = router.log_probability(tower.identity(tokens))
        for modality in dict.fromkeys(column.modality for column, mine in zip(columns, own) if mine):
            positions = [index for index, column in enumerate(columns) if column.modality == modality]
            expert = experts.get(modality)
            logits = self.backbone.logits(embeddings(tower, tokens, expert), [columns[at].name for at in positions])
            within = (logits / (expert.temperature if expert else 1.0)).log_softmax(dim=1)
            out[:, positions] = prior.get(modality, torch.full((len(tokens),), UNKNOWN_MODALITY))[:, None] + within
        return out

    def trainable_parameters(self) -> int:
        """The largest expert's, and the routers."""
        largest = max((one.parameters for one in self.experts().values()), default=0)
        routers: int = sum(router.parameters for router in self.routers_.values())
        return largest + routers

    def state(self) -> State:
        """Every modality's part, and the routers."""
        state = super().state()
        put_parts(state, "routers", self.routers_)
        return state

    def restore(self, state: State) -> None:
        """Take on what :meth:`state` gave."""
        super().restore(state)
        self.routers_ = taken_parts(state, "routers", self.router)
