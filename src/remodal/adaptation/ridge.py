"""Streaming ridge regression: exact under any order of the data, in the memory of one Gram matrix."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor


@dataclass
class StreamingRidge:
    """Least squares with an L2 penalty from accumulated moments, in double precision.

    Fits one-hot targets; a column of targets is added when a class is first seen. No bias: give the features one.
    gram: ``sum of h h^T``. cross: ``sum of h y^T``.
    """

    gram: Tensor
    cross: Tensor

    @classmethod
    def empty(cls, width: int) -> Self:
        """Of no item and no class."""
        return cls(torch.zeros(width, width, dtype=torch.float64), torch.zeros(width, 0, dtype=torch.float64))

    def added(self, features: Tensor, labels: Tensor, classes: int) -> Self:
        """These and items ``[n, width]`` with labels ``[n]`` in ``range(classes)``; ``classes`` may have grown."""
        rows = features.double()
        new = self.cross.new_zeros(len(self.gram), classes - self.cross.shape[1])
        cross = torch.cat([self.cross, new], dim=1).index_add(1, labels, rows.T)
        return type(self)(self.gram + rows.T @ rows, cross)

    def solve(self, strength: float) -> Tensor:
        """Weights ``[width, classes]``, float32; the penalty is ``strength`` times the Gram's mean diagonal."""
        penalty = strength * self.gram.diagonal().mean() + 1e-12
        penalised = self.gram + penalty * torch.eye(len(self.gram), dtype=torch.float64)
        return torch.cholesky_solve(self.cross, torch.linalg.cholesky(penalised)).float().contiguous()
