"""The alignment: a linear map of features into the text space, added to the frozen model's own."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from remodal.adaptation.rows import Rows, in_chunks
from remodal.adaptation.statistics import leading, orthonormal
from remodal.backbones import Tower

ADAPTER_RANK = 128
"""Directions of the task's features in which the adapter learns."""
START_PENALTY = 3.0
"""Of the alignment that a model without names starts from, over the mean square of its items' coordinates, summed."""


def aligned(tower: Tower, adapter: Tensor | None, features: Tensor) -> Tensor:
    """``normalise(align(u) + A u)`` ``[n, d]``; without an adapter, the frozen model's own embedding."""
    embedding = tower.align(features)
    if adapter is not None:
        embedding = embedding + features @ adapter.T
    return functional.normalize(embedding, dim=-1)


@dataclass(frozen=True)
class Head:
    """The alignment of one tower while it learns one task: it starts at an adapter and moves within a few directions.

    adapter: A ``[d, feature_width]`` before the task. basis: ``[feature_width, k]``. What is learned is
    ``A + speed * A' B^T``, in the basis B of the items' own features, where its gradients lie.
    """

    tower: Tower
    adapter: Tensor
    basis: Tensor

    @classmethod
    def on(cls, tower: Tower, features: Tensor | Rows, adapter: Tensor, anchors: Tensor, labels: Tensor) -> Head:
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
        return cls(tower, adapter, basis)

    def start(self) -> Tensor:
        """A' before the first step, ``[k, d]``."""
        return torch.zeros(self.basis.shape[1], len(self.adapter))

    def embedded(self, features: Tensor, step: Tensor) -> Tensor:
        """``normalise(align(u) + A u)`` ``[n, d]`` where A' is ``step``."""
        moved = (features @ self.basis) @ (self.tower.prompt_training.speed * step)
        return functional.normalize(self.tower.align(features) + features @ self.adapter.T + moved, dim=-1)

    def learned(self, step: Tensor) -> Tensor:
        """A after the task."""
        return self.adapter + self.tower.prompt_training.speed * (self.basis @ step).T


def regressed(features: Tensor | Rows, labels: Tensor, anchors: Tensor, basis: Tensor) -> Tensor:
    """A ``[d, feature_width]``: ridge regression of the items' anchors on their coordinates in the basis."""
    gram, cross = torch.zeros(basis.shape[1], basis.shape[1]), torch.zeros(basis.shape[1], anchors.shape[1])
    for rows, own in in_chunks(features):
        inside = own @ basis
        gram, cross = gram + inside.T @ inside, cross + inside.T @ anchors[labels[rows]]
    penalty = START_PENALTY * gram.trace()
    solved: Tensor = torch.linalg.solve(gram + penalty * torch.eye(len(gram)), cross)
    return (basis @ solved).T.contiguous()
