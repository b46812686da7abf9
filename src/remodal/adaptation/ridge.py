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
    half: the lower triangle, row by row, of the Gram matrix ``sum of h h^T``. cross: ``sum of h y^T``
    ``[width, classes]``.
    """

    half: Tensor
    cross: Tensor

    @classmethod
    def empty(cls, width: int) -> Self:
        """Of no item and no class."""
        half = torch.zeros(width * (width + 1) // 2, dtype=torch.float64)
        return cls(half, torch.zeros(width, 0, dtype=torch.float64))

    @classmethod
    def earlier(cls, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        """The fields as they are now, where ``tensors`` are those of before: the whole Gram matrix."""
        if "gram" not in tensors:
            return tensors
        return {"half": _lower(tensors["gram"]), "cross": tensors["cross"]}

    @cached_property
    def gram(self) -> Tensor:
        """``[width, width]``. ValueError where the triangle isn't of that width."""
        width = len(self.cross)
        if len(self.half) != width * (width + 1) // 2:
            raise ValueError(f"a triangle of {len(self.half):,} numbers; valid: of width {width:,}")
        rows, columns = torch.tril_indices(width, width)
        whole = self.half.new_empty(width, width)
        whole[rows, columns] = whole[columns, rows] = self.half
        return whole

    def added(self, features: Tensor, labels: Tensor, classes: int) -> Self:
        """These and items ``[n, width]`` with labels ``[n]`` in ``range(classes)``; ``classes`` may have grown."""
        rows = features.double()
        new = self.cross.new_zeros(len(self.cross), classes - self.cross.shape[1])
        cross = torch.cat([self.cross, new], dim=1).index_add(1, labels, rows.T)
        return type(self)(self.half + _lower(rows.T @ rows), cross)

    def solve(self, strength: float) -> Tensor:
        """Weights ``[width, classes]``, float32; the penalty is ``strength`` times the Gram's mean diagonal."""
        penalty = strength * self.gram.diagonal().mean() + 1e-12
        return torch.cholesky_solve(self.cross, torch.linalg.cholesky(_plus(self.gram, penalty))).float().contiguous()


@dataclass
class LowRankRidge:
    """:class:`StreamingRidge` whose Gram is ``F^T F + spare I``, by robust frequent directions.

    Luo et al., "Robust frequent directions with application in online learning", JMLR 2019: of the Gram's eigenvalues
    the leading ``rank`` are kept, less the largest one that is cut off, half of which goes to ``spare``: what was cut
    off becomes penalty. F is kept in half precision, each row over its largest number, in memory as in files.

    directions: float16 ``[<= rank, width]``, the rows of F over ``scales`` ``[<= rank]``. spare: a number. sums:
    ``[classes, width]``, of a class's items.
    """

    directions: Tensor
    scales: Tensor
    spare: Tensor
    sums: Tensor

    @classmethod
    def empty(cls, width: int) -> Self:
        """Of no item and no class."""
        return cls(torch.zeros(0, width).half(), torch.zeros(0), torch.tensor(0.0), torch.zeros(0, width))

    @classmethod
    def rounded(cls, factor: Tensor, spare: Tensor, sums: Tensor) -> Self:
        """With ``factor`` ``[<= rank, width]`` as near as half precision comes to it."""
        scales = factor.abs().amax(1).clamp(min=1e-30)
        return cls((factor / scales[:, None]).half(), scales, spare, sums)

    @classmethod
    def earlier(cls, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        """The fields as they are now, where ``tensors`` are those of before: F in single precision, or a whole Gram."""
        if "cross" not in tensors:
            return tensors
        factor, spare = tensors.get("factor"), tensors.get("spare", torch.tensor(0.0))
        if factor is None:
            values, vectors = torch.linalg.eigh(tensors["gram"])
            factor = (vectors * values.clamp(min=0).sqrt()).T.float()[values > 1e-12 * values[-1]]
        return vars(cls.rounded(factor, spare, tensors["cross"].T.float().contiguous()))

    @property
    def factor(self) -> Tensor:
        """F ``[<= rank, width]``."""
        return self.directions.float() * self.scales[:, None]

    def added(self, features: Tensor, labels: Tensor, classes: int) -> Uncut:
        """These and items ``[n, width]`` with labels ``[n]`` in ``range(classes)``, which are the factor's last rows.

        ``classes`` may have grown.
        """
        new = self.sums.new_zeros(classes - len(self.sums), self.sums.shape[1])
        sums = torch.cat([self.sums, new]).index_add(0, labels, features)
        return Uncut(torch.cat([self.factor, features]), self.spare, sums)

    def solve(self, penalty: float) -> Tensor:
        """Weights ``[width, classes]``."""
        return Uncut(self.factor, self.spare, self.sums).solve(penalty)


@dataclass
class Uncut:
    """:class:`LowRankRidge` with more items, before anything is cut off and rounded."""

    factor: Tensor
    spare: Tensor
    sums: Tensor

    @cached_property
    def _inner(self) -> Tensor:
        """``F F^T``, double."""
        return (self.factor @ self.factor.T).double()

    def mean_square(self) -> float:
        """The Gram's mean diagonal."""
        return float(self.factor.square().sum() / self.factor.shape[1] + self.spare)

    def compressed(self, rank: int) -> LowRankRidge:
        """The leading ``rank`` directions."""
        rank = min(rank, self.factor.shape[1])
        values, vectors = torch.linalg.eigh(self._inner)
        cut = values[-rank - 1] if len(values) > rank else values.new_tensor(0.0)
        kept = (1 - cut / values[-rank:].clamp(min=1e-30)).clamp(min=0).sqrt()
        factor = (vectors[:, -rank:] * kept).T.float() @ self.factor
        return LowRankRidge.rounded(factor, self.spare + cut.float() / 2, self.sums)

    def solve(self, penalty: float) -> Tensor:
        """Weights ``[width, classes]`` by Woodbury's identity."""
        ridge, cross = penalty + float(self.spare), self.sums.T
        explained = torch.linalg.solve(_plus(self._inner, ridge), (self.factor @ cross).double()).float()
        weights: Tensor = (cross - self.factor.T @ explained) / ridge
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
        projected = (self.factor @ self.sums.T).double()
        outputs = (projected[-len(labels) :] - solved.T @ projected) / ridge
        own = functional.one_hot(labels, len(self.sums))
        without: Tensor = (outputs - leverage[:, None] * own) / (1 - leverage)[:, None].clamp(min=1e-6)
        return without.float()


def _plus(gram: Tensor, ridge: float | Tensor) -> Tensor:
    return gram + ridge * torch.eye(len(gram), dtype=gram.dtype)


def _lower(gram: Tensor) -> Tensor:
    """The lower triangle of ``[width, width]``, row by row."""
    rows, columns = torch.tril_indices(len(gram), len(gram))
    return gram[rows, columns]
