"""ENGINE: a map that learns on, held to the classes before by noisy prototypes, and a Gaussian discriminant beside it.

Zhou et al., "External knowledge injection for CLIP-based class-incremental learning", ICCV 2025, without the language
model's descriptions. A task trains a linear map of the image's features, which is added to those of earlier tasks; by
the contrast between items and the names of their classes, where one prototype of each earlier class, its mean and
noise, joins every batch. ``score = s * discriminant + (1 - s) * scale * cos(z, name)``, the discriminant of frozen
features of unit length (:mod:`remodal.adaptation.discriminant`).

Deviations: a task's map starts at zero, so that one map that is trained on is the sum of them all; it goes from all
features to the text space, beside the frozen alignment, within the leading directions of the task's items, where its
gradients lie; there is no map of the names; the contrast is cross-entropy over the names of all classes seen, each once
(the paper: of those in the batch); the noise's deviation is .25 of the prototype's coordinates in the mean square (.25
itself), since features have any size here; s (the paper: set by data set) is chosen on a fifth of each task's items,
which the task's map isn't trained on, counted over all tasks so far. With fewer items than features the discriminant is
so much larger than the cosines that it decides nearly alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import torch
from pydantic import Field
from torch import Generator, Tensor
from torch.nn import functional

from remodal.adaptation.alignment import Head, aligned
from remodal.adaptation.discriminant import Discriminant
from remodal.adaptation.rows import Rows, added
from remodal.backbones import Tokens, Tower
from remodal.methods.base import TaskData, methods
from remodal.methods.parts import TowerMethod, held_out, of_unit_length, placed, wrong
from remodal.settings import Settings
from remodal.streams.base import Column
from remodal.training.seeding import normal
from remodal.training.trainer import Parameters, Recipe, Trainer

NOISE = 0.25
"""Standard deviation of a prototype's noise, over its root mean square coordinate."""
SHARES = (0.9, 0.8, 0.95, 0.99)
"""Weight s of the discriminant: what is tried, the paper's range. Of those that do as well, the first is taken.

Held-out items are asked when their own task was just learned, and would choose the map that it is best at: with shares
down to 1e-4 earlier tasks lost by it.
"""


class EngineSettings(Settings):
    """Settings of ``engine``."""

    learning_rate: float = Field(0.05, gt=0, description="of the map")
    momentum: float = Field(0.9, ge=0, lt=1, description="of the map's stochastic gradient descent")
    steps: int = Field(790, ge=1, le=1_000_000, description="of a task")
    batch: int = Field(64, ge=1, le=100_000, description="items a step")
    rank: int = Field(512, ge=1, le=4_000, description="directions of the covariance that all classes share")


@dataclass
class Injected:
    """adapter: ``[d, feature_width]``, the sum of the tasks' maps. sums: ``[classes, feature_width]``, of their items.

    wrong: held-out items so far that each of ``SHARES`` got wrong.
    """

    adapter: Tensor
    sums: Tensor
    classes: Discriminant
    wrong: list[int]


@methods.add("engine")
class Injection(TowerMethod[Injected]):
    """One map and one discriminant a tower."""

    options = EngineSettings
    settings: EngineSettings
    part = Injected
    frozen_alone = True

    def fresh(self, tower: Tower, task: TaskData, trainer: Trainer) -> Injected:
        """The frozen model, and no class."""
        adapter = torch.zeros(self.backbone.width, tower.feature_width)
        none = torch.zeros(0, tower.feature_width)
        return Injected(adapter, none, Discriminant.empty(tower.feature_width), [0] * len(SHARES))

    def learned(self, part: Injected, tower: Tower, task: TaskData, trainer: Trainer) -> Injected:
        """Train the map on most items, count what is answered wrong of the others, add these."""
        most, others = held_out(len(task.labels), trainer.generator("held-out"))
        adapter = self._trained(part, tower, task, most, trainer)
        known, labels = task.among(part.classes.columns)
        sums = added(part.sums, Rows(task.tokens, tower.features), labels, len(known))
        after = Injected(adapter, sums, self._extended(part.classes, tower, task, most), part.wrong)
        if not len(others):
            return after

        def answers(rows: Tensor) -> Tensor:
            return self._scores(after, tower, task.tokens[rows], SHARES).argmax(2)

        counted = wrong(part.wrong, answers, labels, others)
        return replace(after, classes=self._extended(after.classes, tower, task, others), wrong=counted)

    def _trained(self, part: Injected, tower: Tower, task: TaskData, most: Tensor, trainer: Trainer) -> Tensor:
        """The map after the task's items at ``most``."""
        chosen, scale = self.settings, self.backbone.logit_scale
        prototypes = part.sums / part.classes.counts.clamp(min=1)[:, None]
        known, labels = task.among(part.classes.columns)
        anchors, labels = self.backbone.anchors([column.name for column in known]), labels[most]
        features = Rows(task.tokens[most], tower.features)
        head = Head.alone(tower, features, part.adapter, anchors, labels)
        seen = Rows(task.tokens[most], lambda tokens: head.seen(tower.features(tokens)))
        deviation = NOISE * prototypes.square().mean(1, keepdim=True).sqrt()

        def loss(parameters: Parameters, batch: Tensor, draws: Generator) -> Tensor:
            noisy = prototypes + deviation * normal(*prototypes.shape, draws=draws)
            rows = torch.cat([seen[batch], head.seen(noisy)])
            targets = torch.cat([labels[batch], torch.arange(len(noisy))])
            return functional.cross_entropy(scale * head.moved(rows, parameters["map"]) @ anchors.T, targets)

        recipe = Recipe(chosen.learning_rate, chosen.steps, chosen.batch, momentum=chosen.momentum, clip=None)
        return head.learned(trainer.fit("map", {"map": head.start()}, loss, len(seen), recipe)["map"])

    def _extended(self, classes: Discriminant, tower: Tower, task: TaskData, rows: Tensor) -> Discriminant:
        features = Rows(task.tokens[rows], partial(of_unit_length, tower))
        return classes.with_items(features, task.labels[rows], task.columns, self.settings.rank)

    def _scores(self, part: Injected, tower: Tower, tokens: Tokens, shares: Sequence[float]) -> Tensor:
        """``s * discriminant + (1 - s) * scale * cos`` ``[len(shares), n, classes]`` of the classes learned."""
        names = [column.name for column in part.classes.columns]
        by_name = self.backbone.logits(aligned(tower, part.adapter, tower.features(tokens)), names)
        by_mean = part.classes.scores(of_unit_length(tower, tokens))
        return torch.stack([share * by_mean + (1 - share) * by_name for share in shares])

    def part_scores(self, part: Injected, tower: Tower, tokens: Tokens, columns: Sequence[Column]) -> Tensor:
        """With the share that got fewest held-out items wrong; NaN for classes that were not learned."""
        share = SHARES[part.wrong.index(min(part.wrong))]
        return placed(self._scores(part, tower, tokens, [share])[0], part.classes.columns, columns)
