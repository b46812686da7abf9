"""One Gaussian a class, each with a covariance of its own, kept by its leading directions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from remodal.adaptation.columns import joined
from remodal.adaptation.rows import Rows
from remodal.adaptation.statistics import leading
from remodal.adaptation.summed import between, means, scatter, terms_of
from remodal.backbones import CHUNK
from remodal.streams.base import Column
from remodal.training.seeding import normal


@dataclass
class ClassGaussians:
    """columns: the classes. counts: ``[c]``. means: ``[c, width]``. factors: ``[c, rank, width]``.

    ``factor^T factor`` of a class is its covariance; rows beyond what its items span are zero.
    """

    columns: list[Column]
    counts: Tensor
    means: Tensor
    factors: Tensor

    @classmethod
    def empty(cls, width: int, rank: int) -> ClassGaussians:
        """Of no class."""
        return cls([], torch.zeros(0), torch.zeros(0, width), torch.zeros(0, rank, width))

    def with_items(self, features: Tensor | Rows, labels: Tensor, columns: Sequence[Column]) -> ClassGaussians:
        """These and the items ``[n, width]``, whose labels are positions in ``columns``; a known class is refined."""
        known, places = joined(self.columns, columns)
        grown = len(known) - len(self.columns)
        counts = torch.cat([self.counts, torch.zeros(grown)])
        means = torch.cat([self.means, self.means.new_zeros(grown, self.means.shape[1])])
        factors = torch.cat([self.factors, self.factors.new_zeros(grown, *self.factors.shape[1:])])
        for label, at in enumerate(places.tolist()):
            for rows in torch.split((labels == label).nonzero()[:, 0], CHUNK):
                if not len(rows):
                    continue
                own, before = features[rows], counts[at].clone()
                total = before + len(own)
                mean = (before * means[at] + own.sum(0)) / total
                between = (before * len(own) / total).sqrt() * (own.mean(0) - means[at])
                scatter = [factors[at] * before.sqrt(), own - own.mean(0), between[None]]
                kept = leading(scatter, factors.shape[1]) / total.sqrt()
                factors[at] = 0
                factors[at, : len(kept)] = kept
                counts[at], means[at] = total, mean
        return ClassGaussians(known, counts, means, factors)

    @classmethod
    def added_up(cls, signed: Sequence[tuple[float, ClassGaussians]]) -> ClassGaussians:
        """Those of several learners in one; see :mod:`remodal.adaptation.summed`."""
        columns, terms = terms_of([(sign, one, one.columns) for sign, one in signed])
        counted, of_each = [term.holding(term.held.counts) for term in terms], [term.held.means for term in terms]
        counts, together = means(counted, of_each, len(columns))
        apart = between(counted, of_each, together)
        factors = signed[0][1].factors.new_zeros(len(columns), *signed[0][1].factors.shape[1:])
        for at in range(len(columns)):
            rows = []
            for term, (sign, lying) in zip(terms, apart, strict=True):
                for own in (term.places == at).nonzero()[:, 0].tolist():
                    within = term.held.counts[own].sqrt() * term.held.factors[own]
                    rows.append((sign, torch.cat([within, lying[own : own + 1]])))
            kept = scatter(rows, factors.shape[1]) / counts[at].sqrt()
            factors[at, : len(kept)] = kept
        return cls(columns, counts, together, factors)

    def draw(self, rows: Tensor, each: int, generator: Generator, floor: float = 0.0) -> tuple[Tensor, Tensor]:
        """``each`` draws of the classes ``rows``: features ``[len(rows) * each, width]``, labels (as in ``rows``).

        floor: variance added in every direction.
        """
        noise = normal(len(rows), each, self.factors.shape[1], draws=generator)
        drawn = self.means[rows, None] + noise @ self.factors[rows]
        if floor:
            drawn = drawn + floor**0.5 * normal(*drawn.shape, draws=generator)
        return drawn.flatten(0, 1), rows.repeat_interleave(each)
