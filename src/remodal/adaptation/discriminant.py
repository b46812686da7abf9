"""Gaussian discriminant analysis that streams: classes with means of their own, and one covariance that all share.

Wang et al., "A hard-to-beat baseline for training-free CLIP-based adaptation", ICLR 2024: with the pooled covariance S
of n items of width d about their classes' means, and ``P = d [(n - 1) S + tr(S) I]^-1`` in place of its inverse (which
there is none of where items are few; Kubokawa & Srivastava, Journal of Multivariate Analysis 2008), the discriminant of
class c is ``x.P m_c - m_c.P m_c / 2``, all classes being as likely beforehand.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain

import torch
from torch import Tensor

from remodal.adaptation.columns import joined
from remodal.adaptation.rows import Rows, added, in_chunks
from remodal.adaptation.statistics import leading
from remodal.adaptation.summed import between, means, scatter, terms_of
from remodal.streams.base import Column

FLOOR = 1e-6
"""Least ``tr(S)``, over the mean square of the classes' means: where each class has shown one item, S is 0."""


@dataclass
class Discriminant:
    """columns: the classes. counts: ``[classes]``. means: ``[classes, width]``. factor: ``[<= rank, width]``.

    ``factor^T factor`` is ``(n - 1) S``, the scatter of all items about their classes' means, in its leading
    directions; the same in whatever order the items came, as long as none is cut off. ``tr(S)`` is of what is kept.
    """

    columns: list[Column]
    counts: Tensor
    means: Tensor
    factor: Tensor

    @classmethod
    def empty(cls, width: int) -> Discriminant:
        """Of no class."""
        return cls([], torch.zeros(0), torch.zeros(0, width), torch.zeros(0, width))

    def with_items(self, features: Tensor | Rows, labels: Tensor, columns: Sequence[Column], rank: int) -> Discriminant:
        """These and the items ``[n, width]``, whose labels are positions in ``columns``; a known class is refined.

        rank: directions of the scatter that are kept.
        """
        known, places = joined(self.columns, columns)
        own = places[labels]
        new = torch.bincount(own, minlength=len(known)).float()
        sums = added(self.means[:0], features, own, len(known))
        counts = torch.cat([self.counts, self.counts.new_zeros(len(known) - len(self.counts))])
        means = torch.cat([self.means, self.means.new_zeros(len(known) - len(self.means), self.means.shape[1])])
        total, centres = (counts + new).clamp(min=1), sums / new.clamp(min=1)[:, None]
        again = (counts * new).nonzero()[:, 0]
        between = (counts * new / total)[again, None].sqrt() * (centres - means)[again]
        within = (some - centres[own[rows]] for rows, some in in_chunks(features))
        factor = leading(chain([self.factor, between], within), rank)
        return Discriminant(known, counts + new, (counts[:, None] * means + sums) / total[:, None], factor)

    @classmethod
    def added_up(cls, signed: Sequence[tuple[float, Discriminant]], rank: int) -> Discriminant:
        """Those of several learners in one; see :mod:`remodal.adaptation.summed`."""
        columns, terms = terms_of([(sign, one, one.columns) for sign, one in signed])
        counted, of_each = [term.holding(term.held.counts) for term in terms], [term.held.means for term in terms]
        counts, together = means(counted, of_each, len(columns))
        within = [(sign, one.factor) for sign, one in signed]
        return cls(columns, counts, together, scatter([*within, *between(counted, of_each, together)], rank))

    def scores(self, features: Tensor) -> Tensor:
        """Discriminants ``[n, classes]`` of features ``[n, width]``, less one number a row."""
        weights, bias = self._linear
        return features @ weights.T + bias

    @cached_property
    def _linear(self) -> tuple[Tensor, Tensor]:
        """``P (m_c - m)`` ``[classes, width]`` and ``-(m_c - m).P (m_c + m) / 2`` ``[classes]``, m the classes' mean.

        Less the discriminant of m, that is, which says nothing of the class and may be much larger than what does. By
        Woodbury's identity: nothing is as large as ``width`` times ``width``.
        """
        means, factor = self.means.double(), self.factor.double()
        centre = means.mean(0)
        trace = factor.square().sum() / (self.counts.sum() - 1).clamp(min=1)
        trace = trace.clamp(min=FLOOR * float(means.square().sum(1).mean()) + 1e-30)
        inner = factor @ factor.T + trace * torch.eye(len(factor), dtype=factor.dtype)
        explained = torch.linalg.solve(inner, factor @ (means - centre).T).T @ factor
        weights = factor.shape[1] * (means - centre - explained) / trace
        return weights.float(), (-(weights * (means + centre)).sum(1) / 2).float()
