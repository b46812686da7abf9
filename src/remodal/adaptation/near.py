"""Classes of near names: what speaks for one of them speaks a little for the others.

A class keeps its nearest names alone, and new classes are compared with all while known ones are not compared again: so
neither what is kept nor what a task costs grows with the square of the classes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor
from torch.nn import functional

from remodal.backbones import CHUNK

NEAR = 100
"""Classes of near names that a class takes from, at most."""
DENSE = 10 * NEAR
"""Classes up to which a whole matrix is multiplied faster than what is kept of it."""
ABSENT = -2.0
"""In place of a cosine where there is no neighbour: below all."""


@dataclass
class NearNames:
    """The nearest names of each class but its own, nearest first.

    places: int32 ``[classes, NEAR]``, of the other classes. cosines: ``[classes, NEAR]``, of the names in text;
    ``ABSENT`` where there are fewer classes, so that each takes the same memory.
    """

    places: Tensor
    cosines: Tensor

    @classmethod
    def empty(cls) -> Self:
        """Of no class."""
        return cls(torch.zeros(0, NEAR, dtype=torch.int32), torch.zeros(0, NEAR))

    @classmethod
    def earlier(cls, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        """The fields as they are now, where ``tensors`` are those of before: none, so that all names are compared."""
        return tensors or vars(cls.empty())

    def check(self, classes: int) -> None:
        """ValueError where these can't be of so many classes, or of the first ones among them."""
        known = len(self.places)
        fits = self.places.shape == self.cosines.shape == (known, NEAR) and known <= classes
        if not fits or (known and not 0 <= int(self.places.min()) <= int(self.places.max()) < known):
            raise ValueError(f"near names of {known:,} classes of {classes:,} that don't fit")

    def grown(self, anchors: Tensor) -> NearNames:
        """With the classes that are new among ``anchors`` ``[classes, d]``; those that are known come first."""
        known = len(self.places)
        if known == len(anchors):
            return self
        new = torch.arange(known, len(anchors), dtype=torch.int32)
        found = []
        for rows in torch.split(torch.arange(known), CHUNK):
            cosines = torch.cat([self.cosines[rows], anchors[rows] @ anchors[known:].T], dim=1)
            places = torch.cat([self.places[rows], new.expand(len(rows), -1)], dim=1)
            best = cosines.topk(NEAR, dim=1)
            found.append((places.gather(1, best.indices), best.values))
        for rows in torch.split(torch.arange(known, len(anchors)), CHUNK):
            cosines = anchors[rows] @ anchors.T
            cosines[torch.arange(len(rows)), rows] = ABSENT
            best = cosines.topk(min(NEAR, len(anchors)), dim=1)
            missing = (0, NEAR - best.values.shape[1])
            values = functional.pad(best.values, missing, value=ABSENT)
            found.append((functional.pad(best.indices.int(), missing), values))
        places, cosines = (torch.cat(parts) for parts in zip(*found, strict=True))
        return NearNames(places, cosines)

    def mixing(self, counts: Tensor, share: float, balance: float) -> Tensor:
        """``[classes, classes]``, sparse where they are many: a row says what a class takes of each.

        counts: ``[classes]``, items a class: what a small class gives is lifted, by the power ``balance``. share: of
        what speaks for a class that speaks for another of the same name.
        """
        classes = len(self.places)
        own = torch.arange(classes)
        lift = (counts / counts.mean()) ** -balance
        columns = torch.cat([own[:, None], self.places.long()], dim=1).flatten()
        others = share * self.cosines.where(self.cosines > ABSENT, 0.0)
        values = torch.cat([torch.ones(classes, 1), others], dim=1).flatten() * lift[columns]
        places = torch.stack([own.repeat_interleave(1 + NEAR), columns])
        kept = torch.sparse_coo_tensor(places, values, (classes, classes), check_invariants=False)
        return kept.to_dense() if classes <= DENSE else kept.coalesce()


def mixed(outputs: Tensor, mixing: Tensor) -> Tensor:
    """``outputs`` ``[..., classes]``, each class with what it takes of the others; a sparse mixing writes into them."""
    if not mixing.is_sparse:
        return outputs @ mixing.T
    for rows in torch.split(outputs.view(-1, outputs.shape[-1]), CHUNK):  # views: little more memory than they have
        rows.copy_((mixing @ rows.T.contiguous()).T)
    return outputs
