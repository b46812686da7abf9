"""Ridge regression of fewer items than features, in its dual form, and how well it does on items it has not seen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from remodal.adaptation.eigen import eigh

PENALTIES = tuple(10.0 ** (exponent / 2) for exponent in range(-6, 2))
"""That are tried, over the mean square of an item's distance from the items' mean."""


@dataclass(frozen=True)
class DualRidge:
    """``x -> mean + (x - centre) R^T W``; the penalty is the one that leaves each item out best.

    centre: ``[width]``, mean ``[targets]``: of the items and of their targets. rows: ``R [n, width]``, the items less
    the mean. weights: ``W [n, targets]``. errors: ``[n]``, each item's squared error where the others alone are
    regressed on, summed over the targets; in closed form, from one decomposition.

    >>> line = torch.tensor([[0.0], [1.0], [2.0], [3.0]])
    >>> DualRidge.fitted(line, 2 * line + 1)(torch.tensor([[4.0]])).round(decimals=1)
    tensor([[9.]])
    """

    centre: Tensor
    mean: Tensor
    rows: Tensor
    weights: Tensor
    errors: Tensor

    @classmethod
    def fitted(cls, features: Tensor, targets: Tensor) -> Self:
        """Of targets ``[n, targets]`` on features ``[n, width]``."""
        centre, mean = features.mean(0), targets.mean(0)
        rows, rest = features - centre, (targets - mean).double()
        values, vectors = eigh((rows @ rows.T).double())
        values, inside = values.clamp(min=0), vectors.T @ rest
        scale = values.mean().clamp(min=1e-30)
        errors = torch.stack([_left_out(values, vectors, inside, penalty * scale) for penalty in PENALTIES])
        best = int(errors.mean(1).argmin())
        weights = vectors @ (inside / (values + PENALTIES[best] * scale)[:, None])
        return cls(centre, mean, rows, weights.float(), errors[best].float())

    def __call__(self, features: Tensor) -> Tensor:
        """Targets ``[k, targets]`` that features ``[k, width]`` speak for."""
        return self.mean + self.slopes(features - self.centre)

    def slopes(self, differences: Tensor) -> Tensor:
        """How far the targets of two features are apart, of the features' differences ``[k, width]``."""
        return (differences @ self.rows.T) @ self.weights


def _left_out(values: Tensor, vectors: Tensor, inside: Tensor, penalty: Tensor) -> Tensor:
    """Squared errors ``[n]`` on items that the regression has not seen."""
    left = vectors @ (inside * (penalty / (values + penalty))[:, None])
    leverage = 1 / len(values) + vectors.square() @ (values / (values + penalty))
    return (left / (1 - leverage).clamp(min=1e-6)[:, None]).square().sum(1)
