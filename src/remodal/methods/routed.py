"""What methods with one expert a modality share: the learned router, and scores of router and expert together.

Not a method itself. The router sees the frozen model's last-layer mean token and nothing else (no file type, no number
of frames), and is fitted to statistics of it by class and modality.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import TypeVar

import torch
from torch import Tensor

from remodal.adaptation.expert import Answering, embeddings
from remodal.adaptation.router import Router
from remodal.adaptation.rows import Rows
from remodal.adaptation.statistics import ClassStatistics
from remodal.backbones import Backbone, Tokens
from remodal.methods.base import State, TaskData, readable
from remodal.methods.parts import PartsMethod, put_parts, taken_parts
from remodal.settings import Settings
from remodal.streams.base import Column
from remodal.training.trainer import Trainer

IDENTITY_RANK = 64
UNKNOWN_MODALITY = math.log(1e-6)
"""Log-probability of a modality that no task has shown yet."""

Part = TypeVar("Part")


class RoutedMethod(PartsMethod[Part]):
    """A method that answers with the expert of the modality that its router finds. One part a modality."""

    def __init__(self, backbone: Backbone, settings: Settings, seed: int) -> None:
        super().__init__(backbone, settings, seed)
        self.routers_ = {name: Router.empty(tower.identity_width) for name, tower in backbone.towers.items()}
        self.identity_: dict[str, ClassStatistics] = {}

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
        prior = router.log_probability(tower.identity(tokens)) if router.modalities else {}
        for modality in dict.fromkeys(column.modality for column, mine in zip(columns, own) if mine):
            positions = [index for index, column in enumerate(columns) if column.modality == modality]
            expert = experts.get(modality)
            logits = self.backbone.logits(embeddings(tower, tokens, expert), [columns[at].name for at in positions])
            within = (logits / (expert.temperature if expert else 1.0)).log_softmax(dim=1)
            out[:, positions] = prior.get(modality, torch.full((len(tokens),), UNKNOWN_MODALITY))[:, None] + within
        return out

    def learn_identity(self, task: TaskData, identity: Rows, trainer: Trainer) -> None:
        """Store statistics of the task's ``identity`` ``[n, identity_width]``, and fit its tower's router again."""
        tower = self.backbone.reads[task.modality]
        width = self.backbone.towers[tower].identity_width
        statistics = self.identity_.get(task.modality) or ClassStatistics.empty(width, IDENTITY_RANK)
        statistics.add(identity, task.labels, task.classes)
        self.identity_[task.modality] = statistics
        names = [name for name in self.identity_ if self.backbone.reads[name] == tower]
        self.routers_[tower].train([self.identity_[name] for name in names], names, trainer)

    def trainable_parameters(self) -> int:
        """The largest expert's, and the routers."""
        largest = max((one.parameters for one in self.experts().values()), default=0)
        return largest + sum(router.weight.numel() + router.bias.numel() for router in self.routers_.values())

    def state(self) -> State:
        """Every modality's part, routers, and identity statistics."""
        state = super().state()
        put_parts(state, "routers", self.routers_)
        put_parts(state, "identity", self.identity_)
        return state

    def restore(self, state: State) -> None:
        """Take on what :meth:`state` gave."""
        super().restore(state)
        self.routers_ = taken_parts(state, "routers", Router)
        self.identity_ = taken_parts(state, "identity", ClassStatistics)
