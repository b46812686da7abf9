"""How large the penalty should be, how sharp a softmax over outputs, and how much the classes' names should count.

All are chosen from a few values: those under which items are likeliest, each scored by what was learned without it,
summed over all items so far. Nothing of the items is kept but these sums.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor
from torch.nn import functional

from remodal.adaptation.summed import total

STRENGTHS = (0.01, 0.03, 0.1, 0.3, 1.0)
"""Penalty over an item's mean square: what is tried."""
SHARPNESS = (5.0, 7.0, 10.0, 14.0, 20.0, 28.0, 40.0)
"""What outputs are multiplied with before the softmax: what is tried."""
OUTPUTS = 2**18
"""Of items that are left out, one a class, at most: where classes are many, fewer items are left out."""
NAMING = (0.0, 0.1, 0.2, 0.3, 0.5, 0.8, 1.2)
"""Weight of the cosine to a class's name beside the output: what is tried."""


@dataclass
class Calibration:
    """losses: ``[strengths, namings, SHARPNESS]``, cross-entropy summed over items."""

    losses: Tensor

    @classmethod
    def empty(cls, strengths: int = 1, namings: int = len(NAMING)) -> Self:
        """Of no item. namings: how many weights of the names are tried; 1: none but 0."""
        return cls(torch.zeros(strengths, namings, len(SHARPNESS)))

    @classmethod
    def earlier(cls, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        """The fields as they are now, where ``tensors`` are those of before: of one penalty."""
        losses = tensors["losses"]
        return {"losses": losses[None] if losses.dim() == 2 else losses}

    def added(self, outputs: Tensor, labels: Tensor, nearness: Tensor | float = 0.0) -> Self:
        """With items of ``outputs`` ``[strengths, n, classes]`` and labels ``[n]``; nearness: cosines to the names."""
        losses = [
            functional.cross_entropy(sharpness * scores, labels, reduction="sum")
            for one in outputs
            for scores in (one + naming * nearness for naming in NAMING[: self.losses.shape[1]])
            for sharpness in SHARPNESS
        ]
        return type(self)(self.losses + torch.stack(losses).view_as(self.losses))

    @classmethod
    def added_up(cls, signed: Sequence[tuple[float, Self]]) -> Self:
        """Those of several learners in one, each item scored by what its own learner knew."""
        return cls(total([(sign, one.losses) for sign, one in signed]))

    @property
    def strength(self) -> int:
        """Position of the best penalty, each at its own best sharpness and weight of the names."""
        return int(self.losses.amin((1, 2)).argmin())

    @property
    def sharpness(self) -> float:
        """The best one at that penalty, for the outputs alone."""
        return SHARPNESS[int(self.losses[self.strength, 0].argmin())]

    @property
    def naming(self) -> float:
        """The best weight of the names at that penalty and sharpness."""
        losses = self.losses[self.strength]
        return NAMING[int(losses[:, losses[0].argmin()].argmin())]
