"""Streaming ridge regression: exact under any order of the data, in the memory of one Gram matrix."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import torch
from torch import Tensor
from torch.nn import functional

from remodal.adaptation.class_sums import ClassSums
from remodal.adaptation.eigen import eigh
from remodal.adaptation.summed import Term, directions, summed, total

LARGEST = torch.iinfo(torch.int16).max


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

    @classmethod
    def added_up(cls, terms: Sequence[Term[Self]], classes: int) -> Self:
        """Those of several learners in one; see :mod:`remodal.adaptation.summed`."""
        half = total([(term.sign, term.held.half) for term in terms])
        return cls(half, summed([term.holding(term.held.cross.T) for term in terms], classes).T.contiguous())

    def solve(self, strength: float) -> Tensor:
        """Weights ``[width, classes]``, float32; the penalty is ``strength`` times the Gram's mean diagonal."""
        penalty = strength * self.gram.diagonal().mean() + 1e-12
        return torch.cholesky_solve(self.cross, torch.linalg.cholesky(_plus(self.gram, penalty))).float().contiguous()


@dataclass
class LowRankRidge:
    """:class:`StreamingRidge` whose Gram is ``F^T F + spare I``, by robust frequent directions.

    Luo et al., "Robust frequent directions with application in online learning", JMLR 2019: of the Gram's eigenvalues
    the leading ``rank`` are kept, less the largest one that is cut off, half of which goes to ``spare``: what was cut
    off becomes penalty. Items in chunks of another size or order give another sketch, which is as near. F is kept in
    whole numbers of 16 bits, in memory as in files: of a row's largest number, they are nearer to the others than half
    precision is.

    directions: int16 ``[<= rank, width]``, the rows of F in steps of ``scales`` ``[<= rank]``. spare: a number. sums:
    ``[classes, width]``, of a class's items.
    """

    directions: Tensor
    scales: Tensor
    spare: Tensor
    sums: Tensor

    @classmethod
    def empty(cls, width: int) -> Self:
        """Of no item and no class."""
        return cls(torch.zeros(0, width).short(), torch.zeros(0), torch.tensor(0.0), torch.zeros(0, width))

    @classmethod
    def rounded(cls, factor: Tensor, spare: Tensor, sums: Tensor) -> Self:
        """With ``factor`` ``[<= rank, width]`` as near as 16 bits come to it."""
        scales = factor.abs().amax(1).clamp(min=1e-30) / LARGEST
        return cls((factor / scales[:, None]).round().short(), scales, spare, sums)

    @classmethod
    def earlier(cls, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        """The fields as they are now, where ``tensors`` are those of before.

        These had F in half precision, before that in single precision, and first the whole Gram.
        """
        if "cross" not in tensors:
            if tensors["directions"].dtype != torch.float16:
                return tensors
            rows = tensors["directions"].float() * tensors["scales"][:, None]
            return vars(cls.rounded(rows, tensors["spare"], tensors["sums"]))
        factor, spare = tensors.get("factor"), tensors.get("spare", torch.tensor(0.0))
        if factor is None:
            values, vectors = eigh(tensors["gram"])
            factor = (vectors * values.clamp(min=0).sqrt()).T.float()[values > 1e-12 * values[-1]]
        return vars(cls.rounded(factor, spare, tensors["cross"].T.float().contiguous()))

    @classmethod
    def added_up(cls, terms: Sequence[Term[Self]], classes: int) -> Sketch:
        """Those of several learners in one, not cut yet; see :mod:`remodal.adaptation.summed`."""
        values, vectors = directions([(term.sign, term.held.factor) for term in terms])
        spare = total([(term.sign, term.held.spare) for term in terms]).clamp(min=0)
        sums = summed([term.holding(term.held.sums) for term in terms], classes)
        return Sketch((values.sqrt()[:, None] * vectors).float(), spare, ClassSums.of(sums), values.diag())

    @property
    def factor(self) -> Tensor:
        """F ``[<= rank, width]``."""
        return self.directions.float() * self.scales[:, None]

    @property
    def counts(self) -> Tensor:
        """Items of each class ``[classes]``, where the last feature is a bias."""
        return self.sums[:, -1]

    @property
    def sketch(self) -> Sketch:
        """What takes in more items."""
        return Sketch(self.factor, self.spare, ClassSums.of(self.sums), torch.zeros(0, 0).double())

    def check(self, width: int, classes: int) -> None:
        """ValueError where these aren't of features of that width and of so many classes."""
        shapes = [tuple(one.shape) for one in (self.directions, self.scales, self.spare, self.sums)]
        kept = len(self.scales)
        if shapes != [(kept, width), (kept,), (), (classes, width)]:
            raise ValueError(f"moments of the shapes {shapes} of {classes:,} classes, width {width:,}")


@dataclass
class Sketch:
    """:class:`LowRankRidge` while it takes in items, a chunk at a time, in single precision.

    A chunk is added, and what it adds beyond the rank cut off again: memory and seconds an item depend on rank and
    chunk, not on how many items there are; nothing is solved for all classes. One eigendecomposition of ``rank +
    chunk`` serves the cut and every penalty that :meth:`left_out` is asked for.

    known: double ``[k, k]``, the products ``F F^T`` of the factor's first rows, where they are there already.
    """

    factor: Tensor
    spare: Tensor
    sums: ClassSums
    known: Tensor

    def added(self, features: Tensor, labels: Tensor, classes: int) -> Sketch:
        """These and items ``[n, width]`` with labels ``[n]`` in ``range(classes)``, which are the factor's last rows.

        ``classes`` may have grown.
        """
        sums = self.sums.added(features, labels, classes)
        return Sketch(torch.cat([self.factor, features]), self.spare, sums, self.known)

    @property
    def trace(self) -> Tensor:
        """The Gram's, a number."""
        return self.factor.double().square().sum() + self.factor.shape[1] * self.spare.double()

    def mean_square(self) -> float:
        """The Gram's mean diagonal."""
        return float(self.trace / self.factor.shape[1])

    @cached_property
    def _products(self) -> Tensor:
        """``F F^T``, double."""
        known = len(self.known)
        new = (self.factor[known:] @ self.factor.T).double()
        return torch.cat([torch.cat([self.known, new[:, :known].T], dim=1), new])

    @cached_property
    def _spectrum(self) -> tuple[Tensor, Tensor]:
        """Eigenvalues and -vectors of ``F F^T``, ascending, double."""
        values, vectors = eigh(self._products)
        return values.clamp(min=0), vectors

    def cut(self, rank: int) -> Sketch:
        """The leading ``rank`` directions; half of the largest that is cut off becomes penalty."""
        if tall := len(self.factor) > self.factor.shape[1]:
            values, vectors = eigh((self.factor.T @ self.factor).double())
        else:
            values, vectors = self._spectrum
        rank = min(rank, len(values))
        cut = values[-rank - 1] if len(values) > rank else values.new_tensor(0.0)
        squares = (values[-rank:] - cut).clamp(min=0)
        scale = squares.sqrt() if tall else (squares / values[-rank:].clamp(min=1e-30)).sqrt()
        factor = (vectors[:, -rank:] * scale).T.float()
        rotated = factor if tall else factor @ self.factor
        return Sketch(rotated, self.spare + cut.float() / 2, self.sums, squares.diag())

    def rounded(self) -> LowRankRidge:
        """As it is kept."""
        return LowRankRidge.rounded(self.factor, self.spare, self.sums.whole())

    def solve(self, penalty: float) -> Tensor:
        """Weights ``[width, classes]`` by Woodbury's identity."""
        ridge, sums = penalty + float(self.spare), self.sums.whole()
        onto = (self.factor @ sums.T).double()
        explained = torch.linalg.solve(_plus(self._products, ridge), onto).float()
        weights: Tensor = self.factor.T @ explained
        weights.neg_().add_(sums.T).div_(ridge)  # they are as large as the sums: no copies
        return weights

    def explaining(self, penalty: float, most: int) -> Tensor:
        """E ``[width, <= most]``, along the leading directions: of an item's square the items so far tell ``|x E|^2``.

        What is left, ``|x|^2 - |x E|^2``, is the variance of a Gaussian process with a linear kernel, whose mean
        :meth:`solve` gives (Rasmussen & Williams, "Gaussian Processes for Machine Learning", 2006, eq. 2.26), where
        ``most`` is no less than the rank.
        """
        values, vectors = (one[..., -most:] for one in self._spectrum)
        scale = (values + penalty + self.spare).rsqrt()
        return ((vectors * scale).float().T @ self.factor).T.contiguous()

    def left_out(self, labels: Tensor, penalties: Sequence[float], step: int = 1) -> Tensor:
        """Outputs ``[penalties, items, classes]`` for the last rows of the factor, each an item that is left out.

        labels: of these rows. step: of so many of them one is asked for, the first among them.

        What weights fitted to all but the item would say of it, from one solution (Allen, "The relationship between
        variable selection and data augmentation and a method for prediction", Technometrics 1974).
        """
        values, vectors = self._spectrum
        items, labels = vectors[-len(labels) :: step], labels[::step]
        own = functional.one_hot(labels, self.sums.classes)
        ridges = torch.tensor(penalties, dtype=values.dtype)[:, None, None] + self.spare
        unexplained = (items.square() * (ridges / (values + ridges))).sum(2, keepdim=True).clamp(min=1e-6).float()
        shares = (items / (values + ridges)).flatten(0, 1).float()
        asked, classes = shares @ vectors.T.float(), self.sums.classes
        (rows, kept), width = asked.shape, self.factor.shape[1]
        # in the order that costs less: by way of the items where these are few and classes many
        if rows * width * (kept + classes) < kept * classes * (width + rows):
            outputs = self.sums.products(asked @ self.factor)
        else:
            outputs = asked @ self.sums.products(self.factor)
        return (outputs.view(len(penalties), *own.shape) - (1 - unexplained) * own) / unexplained


def _plus(gram: Tensor, ridge: float | Tensor) -> Tensor:
    return gram + ridge * torch.eye(len(gram), dtype=gram.dtype)


def _lower(gram: Tensor) -> Tensor:
    """The lower triangle of ``[width, width]``, row by row."""
    rows, columns = torch.tril_indices(len(gram), len(gram))
    return gram[rows, columns]
