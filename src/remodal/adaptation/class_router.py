"""Which modality an item is of: a regression onto the classes of all modalities, whose shares are summed.

Items of one modality may lie in several places, such as drawings, photographs and screenshots among pictures, with
those of another between them. No linear score of the modality can tell that; linear scores of its classes can.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from remodal.adaptation.calibration import OUTPUTS, STRENGTHS, Calibration
from remodal.adaptation.columns import joined
from remodal.adaptation.lift import with_bias
from remodal.adaptation.ridge import LowRankRidge
from remodal.adaptation.rows import Rows, in_chunks
from remodal.streams.base import Column

RANK = 512
"""Directions of the Gram matrix that are kept."""
UNCUT = 4096
"""Rows of the sketch before it is cut: they are narrow, so that it pays to cut rarely."""


@dataclass
class ClassRouter:
    """Ridge regression of what a router may see, with a bias, onto one-hot classes.

    columns: the classes; a modality of a model that was saved by an earlier version is one class without a name.
    weights: ``[width + 1, classes]``. calibration: of penalty and sharpness, by items that are left out.
    """

    columns: list[Column]
    moments: LowRankRidge
    weights: Tensor
    calibration: Calibration

    @classmethod
    def empty(cls, width: int, strengths: int = len(STRENGTHS)) -> Self:
        """Of no class. strengths: how many penalties are tried."""
        moments, weights = LowRankRidge.empty(width + 1), torch.zeros(width + 1, 0)
        return cls([], moments, weights, Calibration.empty(strengths, namings=1))

    def learned(
        self,
        identity: Tensor | Rows,
        labels: Tensor,
        columns: Sequence[Column],
        *,
        rank: int = RANK,
        strengths: Sequence[float] = STRENGTHS,
    ) -> Self:
        """After items ``[n, width]`` with labels ``[n]``, positions in ``columns``.

        rank: directions of the Gram matrix that are kept. strengths: penalties, over its mean diagonal, of which the
        one is taken under which items are likeliest that the regression has not seen.
        """
        known, places = joined(self.columns, columns)
        sketch, chunks = self.moments.sketch, list(in_chunks(labels))
        for rows, own in chunks:
            last = rows is chunks[-1][0]
            if len(sketch.factor) > (rank if last else UNCUT):
                sketch = sketch.cut(rank)
            sketch = sketch.added(with_bias(identity[rows]), places[own], len(known))
        own, penalties = places[own], [strength * sketch.mean_square() for strength in strengths]
        step = -(-len(own) * len(known) // OUTPUTS)
        calibration = self.calibration.added(sketch.left_out(own, penalties, step), own[::step])
        kept = sketch.cut(rank)
        weights = kept.solve(penalties[calibration.strength])
        return type(self)(known, kept.rounded(), weights, calibration)

    @property
    def parameters(self) -> int:
        """Numbers that learning fits."""
        return self.weights.numel()

    def log_probability(self, identity: Tensor, sharpness: float | None = None) -> dict[str, Tensor]:
        """log p(modality) ``[n]`` by modality, of items ``[n, width]``; sharpness: of the softmax; None: as chosen."""
        sharpness = self.calibration.sharpness if sharpness is None else sharpness
        shares = (sharpness * with_bias(identity) @ self.weights).log_softmax(1)
        found = {}
        for modality in dict.fromkeys(column.modality for column in self.columns):
            own = [at for at, column in enumerate(self.columns) if column.modality == modality]
            found[modality] = shares[:, own].logsumexp(1)
        return found
