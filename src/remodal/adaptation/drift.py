"""Drift: when a task trains a modality's prompts, features of earlier items move too, and these items are gone.

How they moved is told from the task's own items, whose features are known before and after: a ridge regression of the
shift on where a feature was. It takes stored means along, and the directions of a stored covariance, since it is
affine. That is the map of DPCR (He et al., "Semantic shift estimation via dual-projection and classifier
reconstruction for exemplar-free class-incremental learning", ICML 2025) without its second projection; the mean shift
of the nearest items (SSIAT: Tan et al., CVPR 2024), which is what it replaces here, moves means alone
(``benchmarks/drift.py`` compares both).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from remodal.adaptation.rows import Rows
from remodal.backbones.tokens import chunks

PENALTIES = tuple(10.0 ** (exponent / 2) for exponent in range(-6, 2))
"""That are tried, over the mean square of an item's distance from the items' mean."""


@dataclass(frozen=True)
class Drift:
    """``x -> x + shift + (x - centre) R^T W``, measured on at most ``CHUNK`` items that are spread over all.

    centre, shift: ``[width]``, the items' mean and how it moved. rows: ``R [n, width]``, the items less the mean.
    weights: ``W [n, width]``, of the regression in its dual form; the penalty is the one that leaves each item out
    best.
    """

    centre: Tensor
    shift: Tensor
    rows: Tensor
    weights: Tensor

    @classmethod
    def measured(cls, before: Tensor | Rows, after: Tensor | Rows) -> Self:
        """From features ``[n, width]`` of one set of items before and after."""
        some = chunks(len(before))[0]
        start = before[some]
        moved = after[some] - start
        centre, shift = start.mean(0), moved.mean(0)
        rows, rest = start - centre, (moved - shift).double()
        values, vectors = torch.linalg.eigh((rows @ rows.T).double())
        values, inside = values.clamp(min=0), vectors.T @ rest
        scale = values.mean().clamp(min=1e-30)
        errors = [_left_out(values, vectors, inside, penalty * scale) for penalty in PENALTIES]
        penalty = PENALTIES[int(torch.stack(errors).argmin())] * scale
        return cls(centre, shift, rows, (vectors @ (inside / (values + penalty)[:, None])).float())

    def points(self, features: Tensor) -> Tensor:
        """Where features ``[k, width]`` of other items are now."""
        return features + self.shift + ((features - self.centre) @ self.rows.T) @ self.weights

    def directions(self, differences: Tensor) -> Tensor:
        """What differences ``[k, width]`` of two features are now."""
        return differences + (differences @ self.rows.T) @ self.weights


def _left_out(values: Tensor, vectors: Tensor, inside: Tensor, penalty: Tensor) -> Tensor:
    """Mean squared error on items that the regression has not seen, in closed form."""
    left = vectors @ (inside * (penalty / (values + penalty))[:, None])
    leverage = 1 / len(values) + vectors.square() @ (values / (values + penalty))
    return (left / (1 - leverage).clamp(min=1e-6)[:, None]).square().mean()
