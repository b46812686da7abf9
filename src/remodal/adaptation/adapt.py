"""Learning one task by gradient: prompts and an alignment adapter, against the text anchors of the task's classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Generator, Tensor
from torch.nn import functional

from remodal.adaptation.merge import self_regularisation
from remodal.adaptation.prompts import beside, fresh_prompts
from remodal.adaptation.rows import Rows, in_chunks
from remodal.adaptation.statistics import leading, orthonormal
from remodal.backbones import Tokens, Tower
from remodal.training.trainer import Parameters, Recipe, Trainer

ADAPTER_RANK = 128
"""Directions of the task's features in which the adapter learns."""
FEWEST_CLIPS = 8
"""In a step."""
START_PENALTY = 3.0
"""Of the alignment that a model without names starts from, over the mean square of its items' coordinates, summed."""


@dataclass(frozen=True)
class Adapted:
    """What is learned for a modality: prompts ``[layers, 2, length, width]`` and adapter A ``[d, feature_width]``."""

    prompts: Tensor
    adapter: Tensor


def frozen(tower: Tower, width: int, length: int, trainer: Trainer) -> Adapted:
    """What leaves the frozen model as it is: fresh prompts of ``length`` and an adapter of zeros to ``width``."""
    return Adapted(fresh_prompts(tower, length, trainer.generator("prompts")), torch.zeros(width, tower.feature_width))


@dataclass(frozen=True)
class Borrowed:
    """Prompts of other modalities, ``[layers, 2, length, width]`` each, and the weight of each."""

    prompts: Sequence[Tensor] = ()
    weights: Sequence[float] = ()

    def beside(self, own: Tensor) -> Tensor:
        """``own`` and these, as :func:`~remodal.adaptation.prompts.beside` says."""
        return beside(own, self.prompts, self.weights)


NOTHING = Borrowed()


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
    learned is ``A + speed * A' B^T``, in the basis B of the items' own features, where its gradients lie.
    """

    tower: Tower
    adapter: Tensor
    basis: Tensor
    anchors: Tensor
    scale: float

    @classmethod
    def on(
        cls, tower: Tower, features: Tensor | Rows, adapter: Tensor, anchors: Tensor, labels: Tensor, scale: float
    ) -> Head:
        """For items with these features ``[n, feature_width]`` and labels ``[n]``, rows of ``anchors``.

        An adapter of zeros on a model that knows no names says nothing, and has no direction to learn in: it starts
        from the regression of the items' anchors on their features.
        """
        width = adapter.shape[1]
        through = tower.prompt_training.through or width
        narrow = orthonormal(leading((own[:, -through:] for _, own in in_chunks(features)), ADAPTER_RANK))
        basis = functional.pad(narrow, (0, 0, width - through, 0))
        if not tower.knows_names and not adapter.any():
            adapter = regressed(features, labels, anchors, basis)
        return cls(tower, adapter, basis, anchors, scale)

    def start(self) -> Tensor:
        """A' before the first step, ``[k, d]``."""
        return torch.zeros(self.basis.shape[1], len(self.adapter))

    def embedded(self, features: Tensor, step: Tensor) -> Tensor:
        """``normalise(align(u) + A u)`` ``[n, d]`` where A' is ``step``."""
        moved = (features @ self.basis) @ (self.tower.prompt_training.speed * step)
        return functional.normalize(self.tower.align(features) + features @ self.adapter.T + moved, dim=-1)

    def logits(self, features: Tensor, step: Tensor) -> Tensor:
        """``scale * z . anchor`` ``[n, classes]``."""
        return self.scale * self.embedded(features, step) @ self.anchors.T

    def learned(self, step: Tensor) -> Tensor:
        """A after the task."""
        return self.adapter + self.tower.prompt_training.speed * (self.basis @ step).T


def suited(tower: Tower, tokens: Tokens, batch: int, rate: float | None, steps: int | None) -> Recipe:
    """How prompts are trained on these items; what is None is what suits the encoder.

    batch: items a step, or pictures where each of them passes a transformer; of long clips at least ``FEWEST_CLIPS``.
    """
    suits = tower.prompt_training
    if suits.frames:
        frames = float(tokens.lengths.float().mean()) * tower.encoder.cost
        batch = max(FEWEST_CLIPS, round(batch / frames))
    return Recipe(suits.rate if rate is None else rate, suits.steps if steps is None else steps, batch)


def regressed(features: Tensor | Rows, labels: Tensor, anchors: Tensor, basis: Tensor) -> Tensor:
    """A ``[d, feature_width]``: ridge regression of the items' anchors on their coordinates in the basis."""
    gram, cross = torch.zeros(basis.shape[1], basis.shape[1]), torch.zeros(basis.shape[1], anchors.shape[1])
    for rows, own in in_chunks(features):
        inside = own @ basis
        gram, cross = gram + inside.T @ inside, cross + inside.T @ anchors[labels[rows]]
    penalty = START_PENALTY * gram.trace()
    solved: Tensor = torch.linalg.solve(gram + penalty * torch.eye(len(gram)), cross)
    return (basis @ solved).T.contiguous()


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
    borrowed: Borrowed = NOTHING,
    held: Held | None = None,
    stage: str = "adapt",
) -> Adapted:
    """Train from ``start`` by cross-entropy of ``scale * z . anchors`` over the task's classes.

    labels: int64 ``[n]``, rows of ``anchors [classes, d]``. borrowed: other modalities' prompts, which act beside
    those that are trained. stage: what the trainer's journal calls it.
    """
    tokens = tower.resident(tokens)
    features = Rows(tokens, partial(tower.features, prompts=borrowed.beside(start.prompts)))
    head = Head.on(tower, features, start.adapter, anchors, labels, scale)

    def loss(parameters: Parameters, batch: Tensor, _: Generator) -> Tensor:
        features = tower.features(tokens[batch], borrowed.beside(parameters["prompts"]))
        embedded = head.embedded(features, parameters["adapter"])
        total = functional.cross_entropy(scale * embedded @ anchors.T, labels[batch])
        if held is not None:
            total = total + held.weight * self_regularisation(embedded, held.before[batch])
        return total

    trained = trainer.fit(stage, {"prompts": start.prompts, "adapter": head.start()}, loss, len(tokens), recipe)
    return Adapted(trained["prompts"], head.learned(trained["adapter"]))
