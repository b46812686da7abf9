"""Class statistics that stream: a mean a class, and one low-rank covariance that the classes share.

No item is kept. New classes add to what is stored; the shared within-class covariance is the weighted mean of the
tasks' covariances, kept as its leading directions. Pseudo-features drawn from the statistics stand in for the items
of earlier tasks (COMM, arXiv 2503.08064: stored means and covariances, Gaussian pseudo-features; one tied covariance
instead of one a class is our choice, measured in ``docs/design.md``).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Self

import torch
from torch import Generator, Tensor

from remodal.adaptation.drift import Drift
from remodal.adaptation.eigen import eigh
from remodal.adaptation.rows import Rows, added, in_chunks
from remodal.backbones import CHUNK
from remodal.training.seeding import normal


@dataclass(frozen=True, eq=False)
class ClassStatistics:
    """Statistics of features by class; never changed, only replaced.

    rank: directions of the shared covariance that are kept. counts: ``[classes]``. means: ``[classes, width]``.
    factor: ``[<= rank, width]``; ``factor^T factor`` is the shared covariance.
    """

    rank: int
    classes: list[str]
    counts: Tensor
    means: Tensor
    factor: Tensor

    @classmethod
    def empty(cls, width: int, rank: int) -> Self:
        """Of no class."""
        return cls(rank, [], torch.zeros(0), torch.zeros(0, width), torch.zeros(0, width))

    def added(self, features: Tensor | Rows, labels: Tensor, classes: Sequence[str]) -> Self:
        """With items ``[n, width]``; labels ``[n]`` index ``classes``. Items of a known class refine its mean."""
        found = torch.bincount(labels, minlength=len(classes))
        names = [name for name, count in zip(classes, found.tolist(), strict=True) if count]
        counts, present = found[found > 0].float(), (found > 0).cumsum(0)[labels] - 1
        sums = added(self.means[:0], features, present, len(names))
        centres = sums / counts[:, None]
        scatter = chain(
            [self.factor * freedom(self.counts) ** 0.5],
            (own - centres[present[rows]] for rows, own in in_chunks(features)),
        )
        factor = leading(scatter, self.rank)
        known = {name: at for at, name in enumerate(dict.fromkeys([*self.classes, *names]))}
        at, new = torch.tensor([known[name] for name in names], dtype=torch.int64), len(known) - len(self.classes)
        before = torch.cat([self.counts, self.counts.new_zeros(new)])
        means = torch.cat([self.means, self.means.new_zeros(new, self.means.shape[1])])
        now = before.index_add(0, at, counts)
        means = means.index_copy(0, at, (before[at, None] * means[at] + sums) / now[at, None])
        return type(self)(self.rank, list(known), now, means, factor / max(1.0, freedom(now)) ** 0.5)

    def moved(self, drift: Drift) -> Self:
        """Where the items are now that a task has trained the prompts, as far as its own items tell."""
        return replace(self, means=drift.points(self.means), factor=drift.directions(self.factor))

    def basis(self) -> Tensor:
        """Orthonormal ``[width, k]`` that spans the means and the covariance's directions."""
        return orthonormal(torch.cat([self.means, self.factor]))

    def within(self, basis: Tensor) -> tuple[Tensor, Tensor]:
        """Means ``[classes, k]`` and factor ``[r, k]`` in the coordinates of ``basis``."""
        return self.means @ basis, self.factor @ basis


def freedom(counts: Tensor) -> float:
    """Degrees of freedom of a covariance about the means of classes with ``counts`` items."""
    return float((counts - 1).clamp(min=0).sum())


def pseudo_features(means: Tensor, factor: Tensor, each: int, generator: Generator) -> tuple[Tensor, Tensor]:
    """``each`` Gaussian draws a class: features ``[classes * each, k]`` and labels."""
    noise = normal(len(means), each, len(factor), draws=generator)
    features = (means[:, None] + noise @ factor).flatten(0, 1)
    return features, torch.arange(len(means)).repeat_interleave(each)


def leading(rows: Iterable[Tensor], rank: int) -> Tensor:
    """``[<= rank, width]`` whose Gram ``F^T F`` is nearest to that of all rows: its leading directions, scaled.

    rows: ``[n, width]`` each, one after the other; at least one row in all. Of more than ``CHUNK`` rows so many at a
    time, each with the leading ``CHUNK`` of what came before, so that nothing grows with the square of the rows; up to
    there it is exact. Each direction points to where its largest entry is positive: what is drawn along it doesn't
    depend on who solves for it.
    """
    kept: list[Tensor] = []
    for block in _blocks(rows):
        joined = torch.cat([*kept, block])
        _, vectors = _spectrum(joined, smallest=1e-9)
        kept = [(vectors[:, -max(rank, CHUNK) :].T @ joined.double()).float()]
    directions = kept[0][-rank:]
    largest = directions.gather(1, directions.abs().argmax(1, keepdim=True))
    return directions * largest.sign()


def _blocks(rows: Iterable[Tensor]) -> Iterator[Tensor]:
    """The rows ``CHUNK`` at a time, the last ones fewer."""
    waiting: list[Tensor] = []
    for some in rows:
        *whole, rest = torch.split(torch.cat([*waiting, some]), CHUNK)
        yield from whole
        waiting = [rest]
    yield from waiting


def orthonormal(rows: Tensor, smallest: float = 1e-7) -> Tensor:
    """Orthonormal ``[width, k]`` of the span of ``rows`` ``[n, width]``.

    Directions whose eigenvalue in ``rows^T rows`` is below ``smallest`` of the largest are left out.
    """
    values, vectors = _spectrum(rows, smallest)
    return ((vectors / values.sqrt()).T @ rows.double()).T.float()


def _spectrum(rows: Tensor, smallest: float) -> tuple[Tensor, Tensor]:
    """Eigenvalues and -vectors of ``rows rows^T``, ascending, without those below ``smallest`` of the largest.

    In float64 from the products on: those of float32 would add directions of mere rounding, more or fewer by chance.
    """
    values, vectors = eigh(rows.double() @ rows.double().T)
    kept = values > smallest * values[-1:].clamp(min=1e-30)
    return values[kept], vectors[:, kept]
