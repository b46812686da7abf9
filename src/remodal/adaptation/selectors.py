"""What is kept of a task so that its items are found again: how well an item fits each task, by its frozen features."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol, Self

import torch
from torch import Generator, Tensor

from remodal.adaptation.rows import Rows, in_chunks, mean
from remodal.adaptation.statistics import leading, orthonormal
from remodal.training.seeding import shuffled

KMEANS_ROUNDS = 25
KMEANS_ITEMS = 4096
"""Items of a task, spread over it, that its centres are found for, at most."""
SHRINKAGE = 1e-2
"""Of a Gaussian's variances toward their mean."""


class Selector(Protocol):
    """Tells how well items fit one task."""

    def fit(self, identity: Tensor) -> Tensor:
        """Of items ``[n, width]``, ``[n]``: higher is better, comparable between tasks."""


@dataclass
class NearestCentre:
    """Minus the distance (L1) to the nearest of some centres ``[k, width]`` (S-Prompts)."""

    centres: Tensor

    @classmethod
    def of(cls, identity: Rows, centres: int, draws: Generator) -> Self:
        """Of a task's items, by K-means."""
        some = Rows(identity.tokens[:: -(-len(identity) // KMEANS_ITEMS)], identity.compute)
        return cls(kmeans(torch.cat([own for _, own in in_chunks(some)]), centres, draws))

    def fit(self, identity: Tensor) -> Tensor:
        """``-min_k |x - c_k|_1``."""
        return -torch.cdist(identity, self.centres, p=1.0).amin(1)


@dataclass
class Gaussian:
    """The log-density, over the width, of a Gaussian with independent numbers (DIKI). mean, variance: ``[width]``."""

    mean: Tensor
    variance: Tensor

    @classmethod
    def of(cls, identity: Rows) -> Self:
        """Of a task's items."""
        centre = mean(identity)
        variance = mean(Rows(identity.tokens, lambda tokens: (identity.compute(tokens) - centre).square()))
        return cls(centre, (1 - SHRINKAGE) * variance + SHRINKAGE * variance.mean() + 1e-8)

    def fit(self, identity: Tensor) -> Tensor:
        """``log N(x; mean, variance) / width``."""
        squared = (identity - self.mean).square() / self.variance
        return -0.5 * (squared + self.variance.log() + math.log(2 * math.pi)).mean(1)


@dataclass
class Subspace:
    """Minus the squared error of what a few directions rebuild, a linear autoencoder (MoE-Adapters).

    mean: ``[width]``. directions: orthonormal, ``[width, k]``.
    """

    mean: Tensor
    directions: Tensor

    @classmethod
    def of(cls, identity: Rows, directions: int) -> Self:
        """The leading directions of a task's items."""
        centre = mean(identity)
        return cls(centre, orthonormal(leading((own - centre for _, own in in_chunks(identity)), directions)))

    def fit(self, identity: Tensor) -> Tensor:
        """``|D^T (x - mean)|^2 - |x - mean|^2``."""
        centred = identity - self.mean
        return (centred @ self.directions).square().sum(1) - centred.square().sum(1)


def kmeans(rows: Tensor, centres: int, generator: Generator) -> Tensor:
    """Centres ``[<= centres, width]`` of ``rows [n, width]`` (Lloyd's algorithm, from rows drawn at random)."""
    found = rows[shuffled(len(rows), generator)[:centres]]
    for _ in range(KMEANS_ROUNDS):
        nearest = torch.cdist(rows, found).argmin(1)
        found = torch.stack([rows[nearest == one].mean(0) for one in sorted(set(nearest.tolist()))])
    return found
