"""Nearest class mean, each mean shrunken to that of its modality: few items are not trusted far.

``mean_c' = (sum_c + prior * mean_m) / (n_c + prior)``: as if ``prior`` more items of a class had been seen, all like
the modality's average. The score is minus the squared distance. Nothing is trained, nothing forgotten.

A file such as this one is a whole method. Its parts, in the order in which remodal calls them:

1. ``options`` declares the settings; they are checked, listed and set on the command line like those of any method;
2. ``learn`` is given one task at a time, with the modality, and keeps what it needs;
3. ``scores`` is given items and candidates, without the modality, and answers one number for each pair;
4. ``state`` and ``restore`` turn what was learned into plain tensors and JSON, and back.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from pydantic import Field
from torch import Tensor

from remodal.adaptation.routed import readable
from remodal.backbones import Backbone, Tokens
from remodal.methods.base import Method, State, TaskData, methods
from remodal.settings import Settings
from remodal.streams.base import Column
from remodal.training.trainer import Trainer


class ShrunkenMeanSettings(Settings):
    """Settings of ``shrunken-mean``."""

    prior: float = Field(4.0, ge=0, description="items that a modality's mean counts for")


@methods.add("shrunken-mean")
class ShrunkenMean(Method):
    """Sums and counts by class and modality."""

    options = ShrunkenMeanSettings

    def __init__(self, backbone: Backbone, settings: Settings, seed: int) -> None:
        super().__init__(backbone, settings, seed)
        self.prior = cast(ShrunkenMeanSettings, settings).prior
        self.sums: dict[Column, Tensor] = {}
        self.counts: dict[Column, int] = {}

    def learn(self, task: TaskData, trainer: Trainer) -> None:
        """Add the task's features to its classes' sums.

        The items' tokens are frozen; the backbone's tower makes one feature vector of each item, however many frames it
        has. A method that trains does so through ``trainer.fit``, which survives a kill at any step, and draws random
        numbers from ``trainer.generator("purpose")`` alone.
        """
        features = self.backbone.tower(task.modality).features(task.tokens)
        for index, column in enumerate(task.columns):
            own = features[task.labels == index]
            # a sum of its own instead of +=: a state that was handed out must not change
            self.sums[column] = self.sums.get(column, torch.zeros_like(features[0])) + own.sum(0)
            self.counts[column] = self.counts.get(column, 0) + len(own)

    def scores(self, tokens: Tokens, columns: Sequence[Column]) -> Tensor:
        """Minus the squared distance; -inf for candidates that another tower reads, NaN for classes not learned."""
        features = self.backbone.towers[tokens.tower].features(tokens)
        scores = torch.full((len(tokens), len(columns)), -torch.inf)
        for index, (column, own) in enumerate(zip(columns, readable(tokens, columns, self.backbone), strict=True)):
            if own and column in self.sums:
                scores[:, index] = -(features - self.shrunken(column)).square().sum(1)
            elif own:
                scores[:, index] = torch.nan
        return scores

    def shrunken(self, column: Column) -> Tensor:
        """A class's mean, drawn to its modality's."""
        siblings = [other for other in self.sums if other.modality == column.modality]
        total = torch.stack([self.sums[other] for other in siblings]).sum(0)
        average = total / sum(self.counts[other] for other in siblings)
        return (self.sums[column] + self.prior * average) / (self.counts[column] + self.prior)

    def state(self) -> State:
        """The sums as tensors, classes and counts as JSON, in one order."""
        tensors = {str(index): total for index, total in enumerate(self.sums.values())}
        return State(tensors, {"columns": [list(column) for column in self.sums], "counts": list(self.counts.values())})

    def restore(self, state: State) -> None:
        """Take on what :meth:`state` gave."""
        columns = [Column(*column) for column in state.values["columns"]]
        self.sums = {column: state.tensors[str(index)] for index, column in enumerate(columns)}
        self.counts = dict(zip(columns, state.values["counts"], strict=True))
