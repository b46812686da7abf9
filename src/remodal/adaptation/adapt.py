"""Learning one task by gradient: prompts and an alignment adapter, against the text anchors of the task's classes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import torch
from torch import Generator, Tensor
from torch.nn import functional

from remodal.adaptation.merge import self_regularisation
from remodal.adaptation.prompts import fresh_prompts
from remodal.adaptation.rows import Rows, in_chunks
from remodal.adaptation.statistics import leading, orthonormal
from remodal.backbones import Tokens, Tower
from remodal.training.trainer import Parameters, Recipe, Trainer

ADAPTER_RANK = 128
"""Directions of the task's features in which the adapter learns."""
ADAPTER_SPEED = 5.0
"""Learning rate of the adapter over that of the prompts."""


@dataclass(frozen=True)
class Adapted:
    """What is learned for a modality: prompts ``[layers, 2, length, width]`` and adapter A ``[d, feature_width]``."""

    prompts: Tensor
    adapter: Tensor


def frozen(tower: Tower, width: int, length: int, trainer: Trainer) -> Adapted:
    """What leaves the frozen model as it is: fresh prompts of ``length`` and an adapter of zeros to ``width``."""
    return Adapted(fresh_prompts(tower, length, trainer.generator("prompts")), torch.zeros(width, tower.feature_width))


@dataclass(frozen=True)
class Held:
    """What holds a task back: embeddings ``[n, d]`` of its items before it, and the weight of the shift's penalty."""

    before: Rows
    weight: float


def aligned(tower: Tower, adapter: Tensor | None, features: Tensor) -> Tensor:
    """``normalise(align(u) + A u)`` ``[n, d]``; without an adapter, the frozen model's own embedding."""
    embedding = tower.align(features)
    if adapter is not None:
        embedding = embedding + features @ adapter.T
    return functional.normalize(embedding, dim=-1)


@dataclass(frozen=True)
class Head:
    """The alignment of one tower while it learns one task: it starts at an adapter and moves within a few directions.

    adapter: A ``[d, feature_width]`` before the task. basis: ``[feature_width, k]``. anchors: ``[classes, d]``. What is
    learned is ``A + ADAPTER_SPEED * A' B^T``, in the basis B of the items' own features, where its gradients lie.
    """

    tower: Tower
    adapter: Tensor
    basis: Tensor
    anchors: Tensor
    scale: float

    @classmethod
    def on(cls, tower: Tower, features: Tensor | Rows, adapter: Tensor, anchors: Tensor, scale: float) -> Head:
        """For items with these features ``[n, feature_width]``."""
        pieces = (own for _, own in in_chunks(features))
        return cls(tower, adapter, orthonormal(leading(pieces, ADAPTER_RANK)), anchors, scale)

    def start(self) -> Tensor:
        """A' before the first step, ``[k, d]``."""
        return torch.zeros(self.basis.shape[1], len(self.adapter))

    def embedded(self, features: Tensor, step: Tensor) -> Tensor:
        """``normalise(align(u) + A u)`` ``[n, d]`` where A' is ``step``."""
        moved = (features @ self.basis) @ (ADAPTER_SPEED * step)
        return functional.normalize(self.tower.align(features) + features @ self.adapter.T + moved, dim=-1)

    def logits(self, features: Tensor, step: Tensor) -> Tensor:
        """``scale * z . anchor`` ``[n, classes]``."""
        return self.scale * self.embedded(features, step) @ self.anchors.T

    def learned(self, step: Tensor) -> Tensor:
        """A after the task."""
        return self.adapter + ADAPTER_SPEED * (self.basis @ step).T


def adapt(
    tower: Tower,
    tokens: Tokens,
    labels: Tensor,
    anchors: Tensor,
    start: Adapted,
    scale: float,
    recipe: Recipe,
    trainer: Trainer,
    *,
    borrowed: Tensor | None = None,
    held: Held | None = None,
) -> Adapted:
    """Train from ``start`` by cross-entropy of ``scale * z . anchors`` over the task's classes.

    labels: int64 ``[n]``, rows of ``anchors [classes, d]``. borrowed: other modalities' prompts, added as they are.
    """
    prompts = start.prompts if borrowed is None else start.prompts + borrowed
    features = Rows(tokens, partial(tower.features, prompts=prompts))
    head = Head.on(tower, features, start.adapter, anchors, scale)

    def loss(parameters: Parameters, batch: Tensor, _: Generator) -> Tensor:
        prompts = parameters["prompts"] if borrowed is None else parameters["prompts"] + borrowed
        embedded = head.embedded(tower.features(tokens[batch], prompts), parameters["adapter"])
        total = functional.cross_entropy(scale * embedded @ anchors.T, labels[batch])
        if held is not None:
            total = total + held.weight * self_regularisation(embedded, held.before[batch])
        return total

    trained = trainer.fit("adapt", {"prompts": start.prompts, "adapter": head.start()}, loss, len(tokens), recipe)
    return Adapted(trained["prompts"], head.learned(trained["adapter"]))
