"""How sharp a softmax over outputs should be, and how much the classes' names should count beside them.

Both are chosen from a few values: those under which items are likeliest, each scored by what was learned without it,
summed over all items so far. Nothing of the items is kept but these sums.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor
from torch.nn import functional

SHARPNESS = (5.0, 7.0, 10.0, 14.0, 20.0, 28.0, 40.0)
"""What outputs are multiplied with before the softmax: what is tried."""
NAMING = (0.0, 0.1, 0.2, 0.3, 0.5, 0.8, 1.2)
"""Weight of the cosine to a class's name beside the output: what is tried."""


@dataclass
class Calibration:
    """losses: ``[NAMING, SHARPNESS]``, cross-entropy summed over items."""

    losses: Tensor

    @classmethod
    def empty(cls) -> Self:
        """Of no item."""
        return cls(torch.zeros(len(NAMING), len(SHARPNESS)))

    def added(self, outputs: Tensor, nearness: Tensor, labels: Tensor) -> Self:
        """With items of ``outputs`` ``[n, classes]``, cosines to the classes' names, and labels ``[n]``."""
        losses = [
            functional.cross_entropy(sharpness * (outputs + naming * nearness), labels, reduction="sum")
            for naming in NAMING
            for sharpness in SHARPNESS
        ]
        return type(self)(self.losses + torch.stack(losses).view_as(self.losses))

    @property
    def sharpness(self) -> float:
        """The best one for the outputs alone."""
        return SHARPNESS[int(self.losses[0].argmin())]

    @property
    def naming(self) -> float:
        """The best weight of the names at that sharpness."""
        return NAMING[int(self.losses[:, self.losses[0].argmin()].argmin())]
