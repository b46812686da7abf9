"""Which class of its modality an item is: a regression on features that don't change, from statistics alone.

Ridge regression on ``[u, ReLU(u W) / sqrt(k), 1]``, u the features less the mean of the modality's first task, W drawn
once (RanPAC: McDonnell et al., NeurIPS 2023, with the features themselves beside the random ones). The Gram matrix is
kept by its leading directions, in 16 bits a number. The mean of a class's outputs, which is its share of all items, is
taken from them, so that a class of many items isn't favoured. The penalty is the one of a few under which items are
likeliest that the regression has not seen (leave-one-out, in closed form, of at most ``CHUNK`` items a task;
:mod:`remodal.adaptation.calibration`).

A task is learned a chunk of items at a time, so that seconds an item and memory don't depend on how many it has.
Weights are solved when an answer is asked for, so that a task costs no more where many classes are known.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Self

import torch
from torch import Tensor

from remodal.adaptation.alignment import aligned
from remodal.adaptation.calibration import OUTPUTS, Calibration
from remodal.adaptation.columns import joined
from remodal.adaptation.first_sight import features_under
from remodal.adaptation.lift import Lift
from remodal.adaptation.ridge import LowRankRidge
from remodal.adaptation.rows import Rows, mean
from remodal.adaptation.summed import terms_of, total
from remodal.backbones import CHUNK, Backbone, Tokens, Tower
from remodal.backbones.tokens import chunks
from remodal.streams.base import Column

DIRECTIONS = 64
"""Of the Gram matrix, that say how far an item is; 16 to 512 notice as many new classes."""


@dataclass(frozen=True)
class Fitting:
    """How regressions of a tower are fitted.

    lift: what they see of features. rank: directions of a Gram matrix that are kept. strengths: penalties that are
    tried, over an item's mean square.
    """

    backbone: Backbone
    tower: Tower
    lift: Lift
    rank: int
    strengths: tuple[float, ...]

    def anchors(self, columns: Sequence[Column]) -> Tensor:
        """The places of the classes' names in the text space ``[classes, d]``."""
        return self.backbone.anchors([column.name for column in columns])


@dataclass
class ClassRegression:
    """prompts: ``[layers, 2, length, width]``; empty, ``[0]``, where the frozen model serves as it is. centre:
    ``[features]``. threshold: ``centre W``. square: a number, the sum of the squares of all lifted items. stored:
    ``[lifted, classes]``, weights of a model that was saved by an earlier version, until it learns more; else ``[0]``.
    """

    name: str
    columns: list[Column]
    prompts: Tensor
    centre: Tensor
    threshold: Tensor
    moments: LowRankRidge
    square: Tensor
    calibration: Calibration
    stored: Tensor

    def __post_init__(self) -> None:
        self._solved: Tensor | None = None
        self._explaining: Tensor | None = None

    @classmethod
    def earlier(cls, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        """Before modalities had prompts; before the sum of squares was kept, of which the Gram matrix has most."""
        if "square" not in tensors:
            kept = {name.removeprefix("moments/"): one for name, one in tensors.items() if name.startswith("moments/")}
            tensors = {**tensors, "square": LowRankRidge(**LowRankRidge.earlier(kept)).sketch.trace}
        if "stored" not in tensors:
            tensors = {**tensors, "stored": tensors["weights"]}
        return {"prompts": torch.zeros(0), **tensors}

    @classmethod
    def begun(cls, modality: str, tokens: Tokens, prompts: Tensor, how: Fitting) -> Self:
        """Of no class; its centre is the mean of the modality's first items under the prompts."""
        centre = mean(Rows(tokens, partial(features_under, prompts, how.tower)))
        return cls(
            name=modality,
            columns=[],
            prompts=prompts,
            centre=centre,
            threshold=centre @ how.lift.w,
            moments=LowRankRidge.empty(how.lift.width),
            square=torch.tensor(0.0, dtype=torch.float64),
            calibration=Calibration.empty(len(how.strengths)),
            stored=torch.zeros(0),
        )

    def check(self, width: int, prompts: tuple[int, ...], strengths: int) -> None:
        """ValueError where its sizes aren't these. width: of what is lifted. strengths: how many are tried."""
        self.moments.check(width, len(self.columns))
        if self.stored.shape not in ((0,), (width, len(self.columns))):
            raise ValueError(f"weights of the shape {tuple(self.stored.shape)} for {self.name}")
        if (found := tuple(self.prompts.shape)) not in ((0,), prompts):
            raise ValueError(f"prompts of the shape {found} for {self.name}; valid: {prompts}")
        if self.square.shape != ():
            raise ValueError(f"a sum of squares of the shape {tuple(self.square.shape)}; valid: a number")
        sums = Calibration.empty(strengths).losses.shape
        if self.calibration.losses.shape != sums:
            raise ValueError(f"losses of {self.name} of another shape than {tuple(sums)}")

    def learned(self, tokens: Tokens, labels: Tensor, columns: Sequence[Column], how: Fitting) -> Self:
        """After items with labels ``[n]``, positions in ``columns``; one chunk after the other is lifted."""
        known, places = joined(self.columns, columns)
        labels = places.to(labels.device)[labels]
        anchors = how.anchors(known)
        counts = torch.bincount(labels, minlength=len(known)).float()
        counts[: len(self.columns)] += self.moments.counts
        moments, calibration, squares = self.moments.sketch, self.calibration, self.square
        # about as many items at a time as directions are kept: cutting off costs more in smaller steps
        pieces = chunks(len(labels), max(CHUNK, how.rank))
        for rows in pieces:
            features, own = features_under(self.prompts, how.tower, tokens[rows]), labels[rows]
            lifted = how.lift.lifted(features, self.centre, self.threshold)
            square = lifted.square().sum(1)
            moments, squares = moments.added(lifted, own, len(known)), squares + square.sum()
            if rows is pieces[-1]:  # items of the whole task, beside all the others: enough to choose a few numbers
                step = -(-len(own) * len(known) // OUTPUTS)
                penalties = [strength * float(square.mean()) for strength in how.strengths]
                left_out = moments.left_out(own, penalties, step)
                nearness = aligned(how.tower, None, how.tower.features(tokens[rows][::step])) @ anchors.T
                calibration = calibration.added(left_out - shares(counts), own[::step], nearness)
            moments = moments.cut(how.rank)
        return self._now(known, moments.rounded(), squares, calibration)

    @classmethod
    def added_up(cls, signed: Sequence[tuple[float, Self]], how: Fitting) -> Self:
        """Those of several learners with one beginning in one; see :mod:`remodal.adaptation.summed`."""
        columns, terms = terms_of([(sign, one.moments, one.columns) for sign, one in signed])
        moments = LowRankRidge.added_up(terms, len(columns)).cut(how.rank).rounded()
        calibration = Calibration.added_up([(sign, one.calibration) for sign, one in signed])
        squares = total([(sign, one.square) for sign, one in signed])
        return signed[0][1]._now(columns, moments, squares, calibration)

    def _now(self, columns: list[Column], moments: LowRankRidge, square: Tensor, calibration: Calibration) -> Self:
        """With other statistics, from which weights are to be solved."""
        none = torch.zeros(0)
        return replace(self, columns=columns, moments=moments, square=square, calibration=calibration, stored=none)

    def weights(self, how: Fitting) -> Tensor:
        """``[lifted, classes]``, solved when they are first asked for."""
        if len(self.stored):
            return self.stored
        if self._solved is None:
            self._solved = self.moments.sketch.solve(self._penalty(how))
            self._solved[-1] -= shares(self.moments.counts)  # the last feature is 1
        return self._solved

    def _penalty(self, how: Fitting) -> float:
        return how.strengths[self.calibration.strength] * float(self.square) / float(self.moments.counts.sum())

    def outputs(self, tokens: Tokens, classes: Sequence[int], how: Fitting) -> Tensor:
        """What the regression says of some classes ``[n, classes]``."""
        seen = self._seen(tokens, how)
        return how.lift.outputs(*seen, self.centre, self.threshold, self.weights(how)[:, classes])

    def unexplained(self, tokens: Tokens, how: Fitting) -> Tensor:
        """What the items so far don't tell of what the regression sees of others ``[n]``."""
        if self._explaining is None:
            self._explaining = self.moments.sketch.explaining(self._penalty(how), DIRECTIONS)
        seen = (*self._seen(tokens, how), self.centre, self.threshold)
        return how.lift.squares(*seen) - how.lift.outputs(*seen, self._explaining).square().sum(1)

    def _seen(self, tokens: Tokens, how: Fitting) -> tuple[Tensor, Tensor]:
        """Features under the prompts, and their projections."""
        lift, features = how.lift, features_under(self.prompts, how.tower, tokens)
        if self.prompts.numel():
            return features, features @ lift.w
        return features, how.tower.remembered(tokens, lift, lambda: features @ lift.w)


def shares(counts: Tensor) -> Tensor:
    """Of all items that each class has ``[classes]``: the mean of its targets, and so of its outputs."""
    return counts / counts.sum()
