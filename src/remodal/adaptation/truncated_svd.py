"""The singular value decomposition of rows that stream, cut to its leading directions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

SMALLEST = 1e-5
"""Of the largest singular value; what is smaller, single precision can't tell from rounding."""


@dataclass
class TruncatedSvd:
    """Right singular vectors and values of all rows so far; the left ones grow with the rows and are not kept.

    As long as nothing is cut, these are those of all rows at once (Brand, "Fast low-rank modifications of the thin
    singular value decomposition", Linear Algebra and its Applications 2006). Memory: ``rank`` times ``width``.

    directions: ``[<= rank, width]``, orthonormal. scales: double ``[<= rank]``, their singular values, largest first.
    """

    directions: Tensor
    scales: Tensor

    @classmethod
    def empty(cls, width: int) -> Self:
        """Of no row."""
        return cls(torch.zeros(0, width), torch.zeros(0, dtype=torch.float64))

    def added(self, rows: Tensor, rank: int) -> Self:
        """With ``rows`` ``[n, width]``, cut to the leading ``rank`` directions."""
        within, beyond = self._split(rows)
        again, beyond = self._split(beyond)  # what rounding left of the directions in it
        new, triangle = torch.linalg.qr(beyond.T)
        before = torch.cat([self.scales.diag(), self.scales.new_zeros(len(self.scales), new.shape[1])], dim=1)
        small = torch.cat([before, torch.cat([within + again, triangle.T], dim=1).double()])
        _, scales, turned = torch.linalg.svd(small, full_matrices=False)
        kept = min(rank, int((scales > SMALLEST * scales[0]).sum()))
        return type(self)(turned[:kept].float() @ torch.cat([self.directions, new.T]), scales[:kept].clone())

    def _split(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Coordinates in the directions ``[n, <= rank]``, and what lies beyond them ``[n, width]``."""
        within = rows @ self.directions.T
        return within, rows - within @ self.directions

    def least_squares(self, cross: Tensor) -> Tensor:
        """Weights ``[width, targets]``: of those nearest to the rows' targets, the smallest, within what is kept.

        cross: ``[width, targets]``, all rows' products with their targets, summed.
        """
        weights: Tensor = self.directions.T @ (self.directions @ cross / self.scales[:, None].square()).float()
        return weights
