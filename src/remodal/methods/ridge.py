"""Random features and ridge regression, as RanPAC.

McDonnell et al., "RanPAC: Random projections and pre-trained models for continual learning", NeurIPS 2023:
``h = ReLU(u W)`` with W drawn once, ``G += H^T H``, ``Q += H^T Y``, scores ``h (G + strength I)^-1 Q``; the strength is
chosen on a fifth of the task's items held out. Statistics only: exact under any order, nothing to forget.

Deviations: one regression a tower over all its modalities' classes (features of two towers differ in width); the frozen
features are centred by the first task's mean before the projection, which a ReLU needs when features are far from 0;
the first phase of the paper (an adapter on the first task) is left out, as in its "no PETL" rows; after a tower's
first task only the last strength and its two neighbours are tried.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from remodal.adaptation.ridge import StreamingRidge
from remodal.adaptation.summed import terms_of
from remodal.backbones import CHUNK, Tower
from remodal.methods.additive import Additive, Signed, the_same
from remodal.methods.base import TaskData, methods
from remodal.methods.parts import held_out, mean_features
from remodal.methods.random_features import RandomFeatures, Weighted
from remodal.training.trainer import Trainer

STRENGTHS = tuple(10.0**power for power in range(-5, 2))


@dataclass
class Regression(Weighted):
    """strength: the penalty, over the Gram matrix's mean diagonal."""

    moments: StreamingRidge
    strength: float


@methods.add("ridge")
class Ridge(RandomFeatures[Regression], Additive[Regression]):
    """One streaming ridge regression a tower."""

    part: ClassVar[type[Regression]] = Regression

    def fresh(self, tower: Tower, task: TaskData, trainer: Trainer) -> Regression:
        """No class yet; the centre is the first task's mean."""
        width = self.width(tower, task, trainer)
        centre = mean_features(tower, task)
        return Regression([], centre, torch.zeros(width, 0), StreamingRidge.empty(width), STRENGTHS[0])

    def learned(self, part: Regression, tower: Tower, task: TaskData, trainer: Trainer) -> Regression:
        """Add the task's moments and solve again."""
        known, labels = task.among(part.columns)

        def lift(rows: Tensor) -> Tensor:
            return self.inputs(part, tower, task.tokens[rows])

        moments, strength = fitted(part.moments, part.strength, lift, labels, len(known), trainer)
        return replace(part, columns=known, weights=moments.solve(strength), moments=moments, strength=strength)

    def added_up(self, tower: Tower, parts: Sequence[Signed[Regression]]) -> Regression:
        """Moments add up, where they are of the same random features; the larger penalty of both serves."""
        what = " and ".join(sorted({column.modality for _, part in parts for column in part.columns}))
        centre = the_same(what, [(sign, part.centre) for sign, part in parts])
        columns, terms = terms_of([(sign, part.moments, part.columns) for sign, part in parts])
        moments, strength = StreamingRidge.added_up(terms, len(columns)), max(part.strength for _, part in parts[:2])
        weights = moments.solve(strength)
        return replace(parts[0][1], columns=columns, centre=centre, weights=weights, moments=moments, strength=strength)


Lift = Callable[[Tensor], Tensor]
"""Lifted features ``[k, width]`` of the items at ``k`` positions of a task."""


def fitted(
    before: StreamingRidge, strength: float, lift: Lift, labels: Tensor, classes: int, trainer: Trainer
) -> tuple[StreamingRidge, float]:
    """Moments with the items of ``labels [n]``, and the penalty chosen on the part of them held out."""
    learned, held = held_out(len(labels), trainer.generator("held-out"))
    moments = extended(before, lift, labels, learned, classes)
    if len(held):
        at = STRENGTHS.index(strength)
        tried = STRENGTHS[max(0, at - 1) : at + 2] if before.cross.shape[1] else STRENGTHS
        errors = squared_errors([moments.solve(one) for one in tried], lift, labels, held)
        strength = tried[errors.index(min(errors))]
        moments = extended(moments, lift, labels, held, classes)
    return moments, strength


def extended(moments: StreamingRidge, lift: Lift, labels: Tensor, rows: Tensor, classes: int) -> StreamingRidge:
    """``moments`` and the items at ``rows``."""
    for chunk in torch.split(rows, CHUNK):
        moments = moments.added(lift(chunk), labels[chunk], classes)
    return moments


def squared_errors(weights: Sequence[Tensor], lift: Lift, labels: Tensor, rows: Tensor) -> list[float]:
    """Mean over the items at ``rows`` and over classes, for each of ``weights``."""
    errors = torch.zeros(len(weights), dtype=torch.float64)
    for chunk in torch.split(rows, CHUNK):
        lifted, targets = lift(chunk), functional.one_hot(labels[chunk], weights[0].shape[1]).float()
        errors += torch.stack([(lifted @ one - targets).square().sum(dtype=torch.float64) for one in weights])
    found: list[float] = (errors / (len(rows) * weights[0].shape[1])).tolist()
    return found
