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
    speed: float

    @classmethod
    def on(cls, tower: Tower, features: Tensor | Rows, adapter: Tensor, anchors: Tensor, labels: Tensor) -> Head:
        """For items with these features ``[n, feature_width]`` and labels ``[n]``, rows of ``anchors``.

        Of the features that prompts are trained through, and at the speed that suits the encoder beside prompts.
        """
        suits, width = tower.prompt_training, adapter.shape[1]
        basis = directions(features, width, suits.through or width)
        return cls(tower, started(tower, features, adapter, anchors, labels, basis), basis, suits.speed)

    @classmethod
    def alone(cls, tower: Tower, features: Tensor | Rows, adapter: Tensor, anchors: Tensor, labels: Tensor) -> Head:
        """As :meth:`on`, where nothing but the alignment learns: of all features.

        The speed is such that a rate means the same on any backbone: that of a map from features of length 1 to
        embeddings of length 1 (in the mean square).
        """
        basis = directions(features, adapter.shape[1], adapter.shape[1])
        adapter = started(tower, features, adapter, anchors, labels, basis)
        lengths = torch.zeros(2)
        for _, own in in_chunks(features):
            embedded = tower.align(own) + own @ adapter.T
            lengths += torch.stack([embedded.square().sum(), own.square().sum()])
        return cls(tower, adapter, basis, float((lengths[0] / lengths[1].clamp(min=1e-30)).sqrt()))

    def start(self) -> Tensor:
        """A' before the first step, ``[k, d]``."""
        return torch.zeros(self.basis.shape[1], len(self.adapter))

    def embedded(self, features: Tensor, step: Tensor) -> Tensor:
        """``normalise(align(u) + A u)`` ``[n, d]`` where A' is ``step``."""
        inside = features @ self.basis
        return self._normalised(self._before(features), inside, step)

    def seen(self, features: Tensor) -> Tensor:
        """What learning takes of features and doesn't change ``[n, d + k]``: their embedding before, and ``B^T u``."""
        return torch.cat([self._before(features), features @ self.basis], dim=1)

    def moved(self, seen: Tensor, step: Tensor) -> Tensor:
        """:meth:`embedded` of what :meth:`seen` gave."""
        return self._normalised(seen[:, : len(self.adapter)], seen[:, len(self.adapter) :], step)

    def _before(self, features: Tensor) -> Tensor:
        return self.tower.align(features) + features @ self.adapter.T

    def _normalised(self, before: Tensor, inside: Tensor, step: Tensor) -> Tensor:
        return functional.normalize(before + inside @ (self.speed * step), dim=-1)

    def learned(self, step: Tensor) -> Tensor:
        """A after the task."""
        return self.adapter + self.speed * (self.basis @ step).T


def directions(features: Tensor | Rows, width: int, through: int) -> Tensor:
    """Orthonormal ``[width, <= ADAPTER_RANK]``: the leading ones of items ``[n, width]``, of the last ``through``."""
    narrow = orthonormal(leading((own[:, -through:] for _, own in in_chunks(features)), ADAPTER_RANK))
    return functional.pad(narrow, (0, 0, width - through, 0))


def started(
    tower: Tower, features: Tensor | Rows, adapter: Tensor, anchors: Tensor, labels: Tensor, basis: Tensor
) -> Tensor:
    """A where learning starts.

    An adapter of zeros on a model that knows no names says nothing, and has no direction to learn in: it starts from
    the regression of the items' anchors on their features.
    """
    if tower.knows_names or bool(adapter.any()):
        return adapter
    return regressed(features, labels, anchors, basis)


def regressed(features: Tensor | Rows, labels: Tensor, anchors: Tensor, basis: Tensor) -> Tensor:
    """A ``[d, feature_width]``: ridge regression of the items' anchors on their coordinates in the basis."""
    gram, cross = torch.zeros(basis.shape[1], basis.shape[1]), torch.zeros(basis.shape[1], anchors.shape[1])
    for rows, own in in_chunks(features):
        inside = own @ basis
        gram, cross = gram + inside.T @ inside, cross + inside.T @ anchors[labels[rows]]
    penalty = START_PENALTY * gram.trace()
    solved: Tensor = torch.linalg.solve(gram + penalty * torch.eye(len(gram)), cross)
    return (basis @ solved).T.contiguous()
