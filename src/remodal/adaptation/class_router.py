"""Which modality an item is of: a regression onto the classes of all modalities, read in two ways.

Items of one modality may lie in several places, such as drawings, photographs and screenshots among pictures, with
those of another between them. No linear score of the modality can tell that; linear scores of its classes can. So a
modality's likelihood is the sum over its classes' shares. Where modalities lie apart, a linear score is surer: the sum
of the classes' outputs, which is what a regression onto the modality itself would give. Items that are left out say how
much it counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor
from torch.nn import functional

from remodal.adaptation.calibration import OUTPUTS, SHARPNESS, STRENGTHS, Calibration
from remodal.adaptation.columns import joined
from remodal.adaptation.lift import with_bias
from remodal.adaptation.ridge import LowRankRidge
from remodal.adaptation.rows import Rows, in_chunks
from remodal.adaptation.summed import terms_of, total
from remodal.streams.base import Column

RANK = 512
"""Directions of the Gram matrix that are kept."""
UNCUT = 4096
"""Rows of the sketch before it is cut: they are narrow, so that it pays to cut rarely."""
NONE = torch.zeros(0)
APART = (0.0, 2.0, 5.0, 10.0, 20.0)
"""Weight of the sum of a modality's outputs: what is tried."""


@dataclass
class ClassRouter:
    """Ridge regression of what a router may see, with a bias, onto one-hot classes.

    columns: the classes; a modality of a model that was saved by an earlier version is one class without a name.
    calibration: of penalty and sharpness, by the classes of items that are left out. losses: ``[strengths, SHARPNESS,
    APART]``, cross-entropy of these items' modalities, summed. stored: ``[width + 1, classes]``, weights of a model
    that was saved by an earlier version, until it learns more; else ``[0]``, and they are solved from the moments.
    """

    columns: list[Column]
    moments: LowRankRidge
    calibration: Calibration
    losses: Tensor
    stored: Tensor

    def __post_init__(self) -> None:
        self._solved: dict[tuple[float, ...], Tensor] = {}

    @classmethod
    def empty(cls, width: int, strengths: int = len(STRENGTHS)) -> Self:
        """Of no class. strengths: how many penalties are tried."""
        losses = torch.zeros(strengths, len(SHARPNESS), len(APART))
        return cls([], LowRankRidge.empty(width + 1), Calibration.empty(strengths, namings=1), losses, NONE)

    @classmethod
    def earlier(cls, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        """The fields as they are now, where ``tensors`` are those of before: of weights that were always stored."""
        return tensors if "stored" in tensors else {**tensors, "stored": tensors["weights"]}

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
        left_out, own = sketch.left_out(own, penalties, step), own[::step]
        calibration = self.calibration.added(left_out, own)
        losses = self.losses + _losses(left_out, own, known)
        return type(self)(known, sketch.cut(rank).rounded(), calibration, losses, NONE)

    @classmethod
    def added_up(cls, signed: Sequence[tuple[float, Self]], *, rank: int) -> Self:
        """Those of several learners in one; see :mod:`remodal.adaptation.summed`."""
        columns, terms = terms_of([(sign, one.moments, one.columns) for sign, one in signed])
        sketch = LowRankRidge.added_up(terms, len(columns))
        calibration = Calibration.added_up([(sign, one.calibration) for sign, one in signed])
        losses = total([(sign, one.losses) for sign, one in signed])
        return cls(columns, sketch.cut(rank).rounded(), calibration, losses, NONE)

    @property
    def parameters(self) -> int:
        """Numbers that learning fits."""
        return self.moments.sums.numel()

    @property
    def apart(self) -> float:
        """The best weight of the sum of a modality's outputs, at the penalty and the sharpness that were chosen."""
        sharpness = SHARPNESS.index(self.calibration.sharpness)
        return APART[int(self.losses[self.calibration.strength, sharpness].argmin())]

    def weights(self, strengths: Sequence[float] = STRENGTHS) -> Tensor:
        """``[width + 1, classes]``, solved when they are first asked for; strengths: as they were learned with."""
        if len(self.stored):
            return self.stored
        if (known := self._solved.get(tuple(strengths))) is None:
            penalty = strengths[self.calibration.strength] * self.moments.sketch.mean_square()
            known = self._solved[tuple(strengths)] = self.moments.sketch.solve(penalty)
        return known

    def log_probability(
        self, identity: Tensor, *, strengths: Sequence[float] = STRENGTHS, sharpness: float | None = None
    ) -> dict[str, Tensor]:
        """log p(modality) ``[n]`` by modality, of items ``[n, width]``; sharpness: of the softmax; None: as chosen.

        ``log_softmax_m(log sum_c softmax(sharpness o)_c + apart sum_c o_c)`` over the classes c of m, of outputs o.
        """
        if not self.columns:
            return {}
        sharpness = self.calibration.sharpness if sharpness is None else sharpness
        modalities, members = _members(self.columns)
        outputs = with_bias(identity) @ self.weights(strengths)
        found = (_shares(outputs, members, sharpness) + self.apart * outputs @ members).log_softmax(1)
        return dict(zip(modalities, found.unbind(1), strict=True))


def _members(columns: Sequence[Column]) -> tuple[list[str], Tensor]:
    """The modalities, and which classes are of which, 0 or 1 ``[classes, modalities]``."""
    modalities = list(dict.fromkeys(column.modality for column in columns))
    places = torch.tensor([modalities.index(column.modality) for column in columns])
    return modalities, functional.one_hot(places, len(modalities)).float()


def _shares(outputs: Tensor, members: Tensor, sharpness: float) -> Tensor:
    """``log sum_c softmax(sharpness o)_c`` over the classes c of each modality ``[n, modalities]``."""
    return ((sharpness * outputs).softmax(1) @ members).clamp(min=1e-30).log()


def _losses(left_out: Tensor, labels: Tensor, columns: Sequence[Column]) -> Tensor:
    """``[strengths, SHARPNESS, APART]``: cross-entropy of the modality of outputs ``[strengths, n, classes]``."""
    _, members = _members(columns)
    truth = members[labels].argmax(1)
    losses = [
        functional.cross_entropy(shares + apart * sums, truth, reduction="sum")
        for outputs in left_out
        for sums in [outputs @ members]
        for sharpness in SHARPNESS
        for shares in [_shares(outputs, members, sharpness)]
        for apart in APART
    ]
    return torch.stack(losses).view(len(left_out), len(SHARPNESS), len(APART))
