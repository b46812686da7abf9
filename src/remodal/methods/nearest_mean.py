"""Nearest class mean of frozen features (SimpleCIL).

Zhou et al., "Revisiting class-incremental learning with pre-trained models", IJCV 2024: the mean of a class's frozen
features is its prototype, cosine similarity the score. No gradient, no forgetting, any order of tasks.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from remodal.adaptation.routed import readable
from remodal.backbones import Backbone, Tokens
from remodal.methods.base import Method, State, TaskData, methods
from remodal.settings import Settings
from remodal.streams.base import Column
from remodal.training.trainer import Trainer


@methods.add("nearest-mean")
class NearestMean(Method):
    """Prototypes by class and modality."""

    def __init__(self, backbone: Backbone, settings: Settings, seed: int) -> None:
        super().__init__(backbone, settings, seed)
        self.sums_: dict[Column, Tensor] = {}
        """Sum of a class's features; its direction is the prototype's."""

    def learn(self, task: TaskData, trainer: Trainer) -> None:
        """Add the task's features to their classes' sums."""
        features = self.backbone.tower(task.modality).features(task.tokens)
        for index, column in enumerate(task.columns):
            own = features[task.labels == index].sum(0)
            self.sums_[column] = self.sums_[column] + own if column in self.sums_ else own

    def scores(self, tokens: Tokens, columns: Sequence[Column]) -> Tensor:
        """Cosine to the prototypes."""
        features = functional.normalize(self.backbone.towers[tokens.tower].features(tokens), dim=-1)
        scores = torch.full((len(tokens), len(columns)), -torch.inf)
        for index, (column, own) in enumerate(zip(columns, readable(tokens, columns, self.backbone))):
            if column not in self.sums_:
                scores[:, index] = torch.nan
            elif own:
                scores[:, index] = features @ functional.normalize(self.sums_[column], dim=-1)
        return scores

    def state(self) -> State:
        """The sums, in the order in which their classes came."""
        tensors = {str(index): total for index, total in enumerate(self.sums_.values())}
        return State(tensors, {"columns": [list(column) for column in self.sums_]})

    def restore(self, state: State) -> None:
        """Take on what :meth:`state` gave."""
        columns = [Column(*column) for column in state.values["columns"]]
        self.sums_ = {column: state.tensors[str(index)] for index, column in enumerate(columns)}
