"""Streaming ridge regression: exact under any order of the data, in the memory of one Gram matrix."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Self

import torch
from torch import Tensor
from torch.nn import functional


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
        return torch.cholesky_solve(self.cross, torch.linalg.cholesky(_plus(self.gram, penalty))).float().contiguous()


@dataclass
class LowRankRidge:
    """:class:`StreamingRidge` whose Gram is ``factor^T factor + spare I``, by robust frequent directions.

    Luo et al., "Robust frequent directions with application in online learning", JMLR 2019: of the Gram's eigenvalues
    the leading ``rank`` are kept, less the largest one that is cut off, half of which goes to ``spare``: what was cut
    off becomes penalty. factor: ``[<= rank, width]``. spare: a number. cross: ``[width, classes]``.
    """

    factor: Tensor
    spare: Tensor
    cross: Tensor

    @classmethod
    def empty(cls, width: int) -> Self:
        """Of no item and no class."""
        return cls(torch.zeros(0, width), torch.tensor(0.0), torch.zeros(width, 0))

    @cached_property
    def _inner(self) -> Tensor:
        """``F F^T``, double."""
        return (self.factor @ self.factor.T).double()

    def added(self, features: Tensor, labels: Tensor, classes: int) -> Self:
        """These and items ``[n, width]`` with labels ``[n]`` in ``range(classes)``, which are the factor's last rows.

        Nothing is cut off yet (:meth:`compressed`); ``classes`` may have grown.
        """
        new = self.cross.new_zeros(len(self.cross), classes - self.cross.shape[1])
        cross = torch.cat([self.cross, new], dim=1).index_add(1, labels, features.T)
        return type(self)(torch.cat([self.factor, features]), self.spare, cross)

    def compressed(self, rank: int) -> Self:
        """The leading ``rank`` directions."""
        values, vectors = torch.linalg.eigh(self._inner)
        cut = values[-rank - 1] if len(values) > rank else values.new_tensor(0.0)
        kept = (1 - cut / values[-rank:].clamp(min=1e-30)).clamp(min=0).sqrt()
        factor = (vectors[:, -rank:] * kept).T.float() @ self.factor
        return type(self)(factor, self.spare + cut.float() / 2, self.cross)

    def solve(self, penalty: float) -> Tensor:
        """Weights ``[width, classes]`` by Woodbury's identity."""
        ridge = penalty + float(self.spare)
        explained = torch.linalg.solve(_plus(self._inner, ridge), (self.factor @ self.cross).double()).float()
        weights: Tensor = (self.cross - self.factor.T @ explained) / ridge
        return weights

    def left_out(self, labels: Tensor, penalty: float) -> Tensor:
        """Outputs ``[n, classes]`` for the last ``n`` rows of the factor, items of these ``labels``, each left out.

        What weights fitted to all but the item would say of it, from one solution (Allen, "The relationship between
        variable selection and data augmentation and a method for prediction", Technometrics 1974).
        """
        ridge = penalty + float(self.spare)
        items = self._inner[:, -len(labels) :]
        solved = torch.linalg.solve(_plus(self._inner, ridge), items)
        leverage = (items[-len(labels) :].diagonal() - (items * solved).sum(0)) / ridge
        projected = (self.factor @ self.cross).double()
        outputs = (projected[-len(labels) :] - solved.T @ projected) / ridge
        own = functional.one_hot(labels, self.cross.shape[1])
        without: Tensor = (outputs - leverage[:, None] * own) / (1 - leverage)[:, None].clamp(min=1e-6)
        return without.float()


def _plus(gram: Tensor, ridge: float | Tensor) -> Tensor:
    return gram + ridge * torch.eye(len(gram), dtype=gram.dtype)
