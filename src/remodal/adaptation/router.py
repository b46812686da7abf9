"""R_t: a linear classifier over the modalities seen so far, on the frozen model's features.

It is trained by cross-entropy on pseudo-features of all modalities, balanced between them (COMM, arXiv 2503.08064:
a learned classifier whose weights also blend the prompts; trained on statistics alone it needs no stored item).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import torch
from torch import Generator, Tensor
from torch.nn import functional

from remodal.adaptation.rows import Rows
from remodal.adaptation.statistics import ClassStatistics, pseudo_features
from remodal.streams.base import Column
from remodal.training.seeding import shuffled
from remodal.training.trainer import Parameters, Recipe, Trainer

RECIPE = Recipe(learning_rate=5e-3, steps=60, batch=1)
"""At ten times the rate it is wrong more often, and surer of it (``docs/design.md``)."""
RANK = 64
"""Directions of a modality's covariance that are kept."""
DRAWS = 128
"""Pseudo-features a modality in each step."""
SCALE = 10.0
"""Of the unit-length features, so that the weights stay small."""


@dataclass
class Router:
    """Log-probabilities over ``modalities`` from frozen features ``[n, width]``.

    weight: ``[modalities, width]``. bias: ``[modalities]``. statistics: of each modality's features by class.
    """

    modalities: list[str]
    weight: Tensor
    bias: Tensor
    statistics: list[ClassStatistics]

    @classmethod
    def empty(cls, width: int) -> Self:
        """Of no modality."""
        return cls([], torch.zeros(0, width), torch.zeros(0), [])

    def logits(self, features: Tensor) -> Tensor:
        """``[n, modalities]``; of unit-length features, scaled so that the weights stay small."""
        return SCALE * features @ self.weight.T + self.bias

    def log_probability(self, features: Tensor) -> dict[str, Tensor]:
        """log p(modality) ``[n]`` by modality."""
        log_probability = self.logits(features).log_softmax(dim=1)
        return {name: log_probability[:, index] for index, name in enumerate(self.modalities)}

    @property
    def parameters(self) -> int:
        """Numbers that learning fits."""
        return self.weight.numel() + self.bias.numel()

    def learned(self, identity: Tensor | Rows, labels: Tensor, columns: Sequence[Column], trainer: Trainer) -> Self:
        """After items ``[n, width]`` of a task with labels ``[n]``, positions in ``columns``.

        Fitted to what is stored of each modality; there is nothing to learn where there is only one.
        """
        modality, width = columns[0].modality, self.weight.shape[1]
        modalities, statistics = list(self.modalities), list(self.statistics)
        if modality not in modalities:
            modalities.append(modality)
            statistics.append(ClassStatistics.empty(width, RANK))
        at = modalities.index(modality)
        statistics[at] = statistics[at].added(identity, labels, [column.name for column in columns])
        start = {"weight": torch.zeros(len(modalities), width), "bias": torch.zeros(len(modalities))}
        start["weight"][: len(self.modalities)] = self.weight
        start["bias"][: len(self.modalities)] = self.bias

        def loss(parameters: Parameters, _: Tensor, draws: Generator) -> Tensor:
            features, labels = zip(*(_draw(stored, index, draws) for index, stored in enumerate(statistics)))
            logits = SCALE * torch.cat(features) @ parameters["weight"].T + parameters["bias"]
            return functional.cross_entropy(logits, torch.cat(labels))

        if len(modalities) > 1:
            start = trainer.fit("router", start, loss, samples=1, recipe=RECIPE)
        return type(self)(modalities, start["weight"], start["bias"], statistics)


def _draw(stored: ClassStatistics, index: int, draws: Generator) -> tuple[Tensor, Tensor]:
    each = -(-DRAWS // len(stored.classes))
    features, _ = pseudo_features(stored.means, stored.factor, each, draws)
    features = functional.normalize(features[shuffled(len(features), draws)[:DRAWS]], dim=-1)
    return features, torch.full((len(features),), index)
