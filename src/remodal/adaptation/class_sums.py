"""Sums of each class's items, of which a task's items change few and copy none of the others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor


@dataclass(frozen=True)
class ClassSums:
    """What was there, and beside it what has come since.

    before: ``[known, width]``. places: ``[own]``, sorted, the classes of the items that have come. gained: ``[own,
    width]``, the sums of these items. classes: how many there are now; those that are new come last.
    """

    before: Tensor
    places: Tensor
    gained: Tensor
    classes: int

    @classmethod
    def of(cls, sums: Tensor) -> Self:
        """``sums`` ``[classes, width]``, and nothing that came since."""
        return cls(sums, sums.new_zeros(0, dtype=torch.int64), sums[:0], len(sums))

    def added(self, items: Tensor, labels: Tensor, classes: int) -> ClassSums:
        """These and items ``[n, width]`` with labels ``[n]`` in ``range(classes)``; ``classes`` may have grown."""
        places: Tensor = torch.unique(torch.cat([self.places, labels]))
        gained = self.gained.new_zeros(len(places), self.gained.shape[1])
        gained[torch.searchsorted(places, self.places)] = self.gained
        gained.index_add_(0, torch.searchsorted(places, labels), items)
        return ClassSums(self.before, places, gained, classes)

    def whole(self) -> Tensor:
        """``[classes, width]``; a copy where something has come."""
        if self.classes == len(self.before) and not len(self.places):
            return self.before
        new = self.before.new_zeros(self.classes - len(self.before), self.before.shape[1])
        return torch.cat([self.before, new]).index_add_(0, self.places, self.gained)

    def products(self, rows: Tensor) -> Tensor:
        """``[n, classes]``, of each of the ``rows`` ``[n, width]`` with each sum."""
        found = rows.new_zeros(len(rows), self.classes)
        torch.matmul(rows, self.before.T, out=found[:, : len(self.before)])
        return found.index_add_(1, self.places, rows @ self.gained.T)
