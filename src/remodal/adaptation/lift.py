"""What a regression sees of features: themselves, random features of them, and a bias.

Random features as in RanPAC (McDonnell et al., NeurIPS 2023): ``ReLU(u W)``, W drawn once. Features far from 0 leave a
ReLU nothing to do, so that they are taken less a centre.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True, eq=False)
class Lift:
    """``[u, ReLU(u W) / sqrt(k), 1]``, u the features less a centre; W: ``[features, k]``, standard normal numbers.

    >>> import torch
    >>> lift = Lift(torch.tensor([[1.0, -1.0]]))
    >>> lift.lifted(torch.tensor([[3.0]]), torch.tensor([1.0])).tolist()
    [[2.0, 1.4142135381698608, 0.0, 1.0]]
    """

    w: Tensor

    @property
    def width(self) -> int:
        """Of what is lifted."""
        return sum(self.w.shape) + 1

    def lifted(self, features: Tensor, centre: Tensor, threshold: Tensor | None = None) -> Tensor:
        """``[n, width]`` of features ``[n, features]`` less ``centre``; threshold: ``centre W``, where it is known."""
        threshold = centre @ self.w if threshold is None else threshold
        return with_bias(torch.cat([features - centre, self.random(features @ self.w, threshold)], dim=1))

    def random(self, projected: Tensor, threshold: Tensor) -> Tensor:
        """``ReLU(u W) / sqrt(k)`` ``[n, k]`` of projected features ``[n, k]``."""
        random: Tensor = (projected - threshold).relu() / self.w.shape[1] ** 0.5
        return random

    def squares(self, features: Tensor, projected: Tensor, centre: Tensor, threshold: Tensor) -> Tensor:
        """Of what is lifted ``[n]``, without the copies that :meth:`lifted` makes."""
        return (features - centre).square().sum(1) + self.random(projected, threshold).square().sum(1) + 1

    def outputs(
        self, features: Tensor, projected: Tensor, centre: Tensor, threshold: Tensor, weights: Tensor
    ) -> Tensor:
        """``lifted @ weights`` ``[n, classes]``, without the copies that :meth:`lifted` makes."""
        plain, random = weights.tensor_split([len(self.w)])
        return features @ plain + self.random(projected, threshold) @ random[:-1] + (random[-1] - centre @ plain)


def with_bias(features: Tensor) -> Tensor:
    """``[n, width + 1]``, the last column 1."""
    return functional.pad(features, (0, 1), value=1.0)
