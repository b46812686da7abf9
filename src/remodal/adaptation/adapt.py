"""Learning one task by gradient: prompts and an alignment adapter, against the text anchors of the task's classes."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Generator, Tensor
from torch.nn import functional

from remodal.adaptation.merge import self_regularisation
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


@dataclass(frozen=True)
class Held:
    """What holds a task back: embeddings ``[n, d]`` of its items before it, and the weight of the shift's penalty."""

    before: Tensor
    weight: float


def aligned(tower: Tower, adapter: Tensor | None, features: Tensor) -> Tensor:
    """``normalise(align(u) + A u)`` ``[n, d]``; without an adapter, the frozen model's own embedding."""
    embedding = tower.align(features)
    if adapter is not None:
        embedding = embedding + features @ adapter.T
    return functional.normalize(embedding, dim=-1)


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
    The adapter moves by ``A' B^T`` in the basis B of the items' own features, where its gradients lie.
    """
    features = tower.features(tokens, start.prompts if borrowed is None else start.prompts + borrowed)
    basis = orthonormal(leading(features, ADAPTER_RANK))

    def loss(parameters: Parameters, batch: Tensor, _: Generator) -> Tensor:
        prompts = parameters["prompts"] if borrowed is None else parameters["prompts"] + borrowed
        features = tower.features(tokens[batch], prompts)
        step = (features @ basis) @ (ADAPTER_SPEED * parameters["adapter"])
        embedded = functional.normalize(tower.align(features) + features @ start.adapter.T + step, dim=-1)
        total = functional.cross_entropy(scale * embedded @ anchors.T, labels[batch])
        if held is not None:
            total = total + held.weight * self_regularisation(embedded, held.before[batch])
        return total

    initial = {"prompts": start.prompts, "adapter": features.new_zeros(basis.shape[1], anchors.shape[1])}
    trained = trainer.fit("adapt", initial, loss, len(tokens), recipe)
    return Adapted(trained["prompts"], start.adapter + ADAPTER_SPEED * (basis @ trained["adapter"]).T)
