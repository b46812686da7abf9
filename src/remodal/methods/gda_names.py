"""The classes' names, and a Gaussian discriminant of frozen features beside them; nothing is trained.

Wang et al., "A hard-to-beat baseline for training-free CLIP-based adaptation", ICLR 2024: features x of unit length,
the classes Gaussians of one covariance (:mod:`remodal.adaptation.discriminant` has the formulas); the score of class c
is ``logit_scale * cos(z, anchor_c) + a * (x.P m_c - m_c.P m_c / 2)``, a from 1e-4 to 1e2, whichever gets most of the
items right that were held out. One covariance a tower, of the classes of all modalities that it reads. A class that was
not learned has a name but no Gaussian: the name's part of a score can't be compared with others' whole ones, so NaN.

Deviations: x are all frozen features (the paper's are CLIP's embedding z); the scatter is kept by its leading
directions; a is chosen on every second item of a class in each task, by the Gaussians of what came before them, counted
over all tasks so far (the paper has a validation set).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import torch
from pydantic import Field
from torch import Tensor

from remodal.adaptation.discriminant import Discriminant
from remodal.adaptation.expert import embeddings
from remodal.adaptation.rows import Rows
from remodal.adaptation.told_apart import second_half
from remodal.backbones import Tokens, Tower
from remodal.methods.additive import Additive, Signed
from remodal.methods.base import TaskData, methods
from remodal.methods.parts import of_unit_length, placed, wrong
from remodal.settings import Settings
from remodal.streams.base import Column
from remodal.training.trainer import Trainer

WEIGHTS = (1.0, 0.1, 10.0, 0.01, 100.0, 1e-3, 1e-4)
"""Of the discriminant beside the names: what is tried. Of those that do as well, the first is taken."""


class GdaNamesSettings(Settings):
    """Settings of ``gda-names``."""

    rank: int = Field(512, ge=1, le=4_000, description="directions of the covariance that all classes share")


@dataclass
class NamedGaussians:
    """wrong: held-out items so far that each of ``WEIGHTS`` got wrong."""

    classes: Discriminant
    wrong: list[int]


@methods.add("gda-names")
class GdaNames(Additive[NamedGaussians]):
    """Gaussians of each tower's classes."""

    options = GdaNamesSettings
    settings: GdaNamesSettings
    part = NamedGaussians
    frozen_alone = True

    def fresh(self, tower: Tower, task: TaskData, trainer: Trainer) -> NamedGaussians:
        """Of no class."""
        return NamedGaussians(Discriminant.empty(tower.feature_width), [0] * len(WEIGHTS))

    def learned(self, part: NamedGaussians, tower: Tower, task: TaskData, trainer: Trainer) -> NamedGaussians:
        """Add one half of each class's items, count what is answered wrong of the other half, add that too."""
        held_out = second_half(task.labels)
        first, second = (half.nonzero()[:, 0] for half in (~held_out, held_out))
        classes = self.extended(part.classes, tower, task, first)
        if not len(second):
            return NamedGaussians(classes, part.wrong)
        columns, labels = task.among(classes.columns)

        def answers(rows: Tensor) -> Tensor:
            names, discriminants = self.terms(classes, tower, task.tokens[rows], columns)
            return torch.stack([(names + weight * discriminants).argmax(1) for weight in WEIGHTS])

        counted = wrong(part.wrong, answers, labels, second)
        return NamedGaussians(self.extended(classes, tower, task, second), counted)

    def extended(self, classes: Discriminant, tower: Tower, task: TaskData, rows: Tensor) -> Discriminant:
        """``classes`` and the task's items at ``rows``."""
        features = Rows(task.tokens[rows], partial(of_unit_length, tower))
        return classes.with_items(features, task.labels[rows], task.columns, self.settings.rank)

    def terms(
        self, classes: Discriminant, tower: Tower, tokens: Tokens, columns: Sequence[Column]
    ) -> tuple[Tensor, Tensor]:
        """What the names say, and what the Gaussians say, ``[n, len(columns)]`` each."""
        names = self.backbone.logits(embeddings(tower, tokens, None), [column.name for column in columns])
        return names, placed(classes.scores(of_unit_length(tower, tokens)), classes.columns, columns)

    def added_up(self, tower: Tower, parts: Sequence[Signed[NamedGaussians]]) -> NamedGaussians:
        """Gaussians add up, and so do the mistakes that were counted."""
        classes = Discriminant.added_up([(sign, part.classes) for sign, part in parts], self.settings.rank)
        counted = [sum(int(sign) * part.wrong[at] for sign, part in parts) for at in range(len(WEIGHTS))]
        return NamedGaussians(classes, counted)

    def part_scores(self, part: NamedGaussians, tower: Tower, tokens: Tokens, columns: Sequence[Column]) -> Tensor:
        """``logit_scale * z . anchor + a * discriminant``; NaN for classes that were not learned."""
        names, discriminants = self.terms(part.classes, tower, tokens, columns)
        return names + WEIGHTS[part.wrong.index(min(part.wrong))] * discriminants
