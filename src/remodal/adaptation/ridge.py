"""Streaming ridge regression: exact under any order of the data, in the memory of one Gram matrix."""

from __future__ import annotations

import torch
from torch import Tensor


class StreamingRidge:
    """Least squares with an L2 penalty from accumulated moments, in double precision.

    Fits one-hot targets; a column of targets is added when a class is first seen. No bias: give the features one.
    """

    def __init__(self, width: int) -> None:
        self.gram = torch.zeros(width, width, dtype=torch.float64)
        """``sum of h h^T``."""
        self.cross = torch.zeros(width, 0, dtype=torch.float64)
        """``sum of h y^T``."""

    def add(self, features: Tensor, labels: Tensor, classes: int) -> None:
        """Items ``[n, width]`` with labels ``[n]`` in ``range(classes)``; ``classes`` may grow from call to call."""
        rows = features.double()
        grown = classes - self.cross.shape[1]
        self.cross = torch.cat([self.cross, self.cross.new_zeros(len(self.gram), grown)], dim=1)
        self.gram = self.gram + rows.T @ rows
        self.cross = self.cross.index_add(1, labels, rows.T)

    def solve(self, strength: float) -> Tensor:
        """Weights ``[width, classes]``, float32; the penalty is ``strength`` times the Gram's mean diagonal."""
        penalty = strength * self.gram.diagonal().mean() + 1e-12
        penalised = self.gram + penalty * torch.eye(len(self.gram), dtype=torch.float64)
        return torch.cholesky_solve(self.cross, torch.linalg.cholesky(penalised)).float()
