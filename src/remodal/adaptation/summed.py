"""Statistics of several learners, added up: as if one had seen the items of all.

What two learners hold both, since they began from one model, is counted with the sign -1 once. Sums and counts are
exact; so are Gram matrices that are kept by their leading directions, as long as none is cut off.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Generic, TypeVar

import torch
from torch import Tensor

from remodal.adaptation.columns import joined
from remodal.adaptation.eigen import eigh
from remodal.adaptation.statistics import orthonormal
from remodal.streams.base import Column

Held = TypeVar("Held")
Other = TypeVar("Other")
SMALLEST = 1e-9
"""Eigenvalues below this share of the largest are rounding."""


@dataclass(frozen=True)
class Term(Generic[Held]):
    """What one learner holds. sign: 1; -1 for what others hold already. places: of its classes among all, ``[c]``."""

    sign: float
    held: Held
    places: Tensor

    def holding(self, other: Other) -> Term[Other]:
        """A part of what it holds."""
        return Term(self.sign, other, self.places)


def terms_of(
    learners: Sequence[tuple[float, Held, Sequence[Column]]],
) -> tuple[list[Column], list[Term[Held]]]:
    """All classes, in the order in which the learners know them, and a term for each learner.

    learners: sign, what is held, and its classes.
    """
    columns = reduce(lambda known, one: joined(known, one[2])[0], learners, list[Column]())
    return columns, [Term(sign, held, joined(columns, own)[1]) for sign, held, own in learners]


def summed(terms: Sequence[Term[Tensor]], classes: int) -> Tensor:
    """Of numbers by class, ``[c, ...]`` each: ``[classes, ...]``."""
    first = terms[0].held
    total = first.new_zeros(classes, *first.shape[1:])
    for term in terms:
        total.index_add_(0, term.places, term.sign * term.held)
    return total


def total(signed: Sequence[tuple[float, Tensor]]) -> Tensor:
    """``sum of sign * tensor``, of tensors of one shape."""
    return reduce(torch.add, (sign * one for sign, one in signed))


def directions(signed: Sequence[tuple[float, Tensor]]) -> tuple[Tensor, Tensor]:
    """Eigenvalues ``[k]`` above 0 of ``sum of sign * F^T F``, ascending, and eigenvectors ``[k, width]``, double.

    signed: a sign, and rows F ``[n, width]``.
    """
    rows = torch.cat([one for _, one in signed])
    signs = torch.cat([torch.full((len(one),), sign) for sign, one in signed]).double()
    basis = orthonormal(rows).double()
    inside = rows.double() @ basis
    values, vectors = eigh(inside.T @ (signs[:, None] * inside))
    kept = values > SMALLEST * values[-1:].clamp(min=1e-30)
    return values[kept], (basis @ vectors[:, kept]).T


def scatter(signed: Sequence[tuple[float, Tensor]], rank: int) -> Tensor:
    """``[<= rank, width]`` whose Gram is nearest to ``sum of sign * F^T F``; see :func:`directions`."""
    values, vectors = directions(signed)
    return (values[-rank:, None].sqrt() * vectors[-rank:]).float()


def means(counts: Sequence[Term[Tensor]], of_each: Sequence[Tensor], classes: int) -> tuple[Tensor, Tensor]:
    """Counts ``[classes]`` and means ``[classes, width]``, of means ``[c, width]`` of each learner."""
    total = summed(counts, classes)
    sums = summed([one.holding(one.held[:, None] * own) for one, own in zip(counts, of_each, strict=True)], classes)
    return total, sums / total.clamp(min=1)[:, None]


def between(counts: Sequence[Term[Tensor]], of_each: Sequence[Tensor], together: Tensor) -> list[tuple[float, Tensor]]:
    """How far the learners' means of a class lie from the mean of all its items, as signed rows by learner.

    of_each: means ``[c, width]`` of each. together: ``[classes, width]``.
    """
    return [
        (one.sign, one.held.sqrt()[:, None] * (own - together[one.places]))
        for one, own in zip(counts, of_each, strict=True)
    ]
