"""What methods share that train prompts, and a linear classifier with a row for each class beside them.

A task trains the rows of its own classes, and no other logit takes part in its loss: what was learned of earlier
classes stays as it is. So do the authors' own code of L2P, DualPrompt, CODA-Prompt and SLCA.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from remodal.adaptation.columns import joined
from remodal.adaptation.lesson import Prompting
from remodal.backbones import Tower
from remodal.methods.base import TaskData
from remodal.methods.parts import placed
from remodal.streams.base import Column
from remodal.training.trainer import Parameters, Recipe, Trainer

WIDTH = 768
"""Of a ViT-B, for whose features the papers' learning rates are."""


def seen(features: Tensor) -> Tensor:
    """Features ``[n, width]`` as a classifier sees them: as the last layer norm of a ViT-B would give them.

    That is of mean 0 and of the length ``sqrt(768)``, whatever the width. A logit moves with a rate times the features'
    length, or its square, and a backbone's features are of any length; and what all of an item's features have in
    common would take most of it.
    """
    width = features.shape[-1]
    return math.sqrt(WIDTH / width) * functional.layer_norm(features, (width,))


@dataclass
class LinearClassifier:
    """weights: ``[classes, feature_width]``. bias: ``[classes]``."""

    columns: list[Column]
    weights: Tensor
    bias: Tensor

    @classmethod
    def empty(cls, width: int) -> LinearClassifier:
        """Of no class."""
        return cls([], torch.zeros(0, width), torch.zeros(0))

    def grown(self, columns: Sequence[Column]) -> tuple[LinearClassifier, Tensor]:
        """With rows of zeros for those that are new, and where the rows of ``columns`` stand in it."""
        known, rows = joined(self.columns, columns)
        new = len(known) - len(self.columns)
        weights = functional.pad(self.weights, (0, 0, 0, new))
        return LinearClassifier(known, weights, functional.pad(self.bias, (0, new))), rows

    def logits(self, features: Tensor) -> Tensor:
        """Of every class ``[n, classes]``, for the backbone's features."""
        return functional.linear(seen(features), self.weights, self.bias)

    def scores(self, features: Tensor, columns: Sequence[Column]) -> Tensor:
        """The logits of ``columns``; NaN for classes that were not learned."""
        return placed(self.logits(features), self.columns, columns)

    def fit(
        self,
        stage: str,
        start: Parameters,
        prompts: Prompting,
        task: TaskData,
        tower: Tower,
        recipe: Recipe,
        trainer: Trainer,
        extra: Callable[[Parameters, Tensor], Tensor] | None = None,
    ) -> tuple[Parameters, LinearClassifier]:
        """What ``start`` and the rows of the task's classes become by cross-entropy over these classes, and ``extra``.

        prompts: which act on a batch. extra: (parameters, positions of a batch's items) -> what is added to the loss.
        """
        grown, rows = self.grown(task.columns)
        tokens, columns = tower.resident(task.tokens), list(task.columns)

        def loss(parameters: Parameters, batch: Tensor, _: torch.Generator) -> Tensor:
            own = LinearClassifier(columns, parameters["weights"], parameters["bias"])
            logits = own.logits(tower.features(tokens[batch], prompts(parameters, batch)))
            total = functional.cross_entropy(logits, task.labels[batch])
            return total if extra is None else total + extra(parameters, batch)

        begun = {**start, "weights": grown.weights[rows], "bias": grown.bias[rows]}
        trained = trainer.fit(stage, begun, loss, len(tokens), recipe, divisible=True)
        weights = grown.weights.index_copy(0, rows, trained.pop("weights"))
        bias = grown.bias.index_copy(0, rows, trained.pop("bias"))
        return trained, LinearClassifier(grown.columns, weights, bias)
