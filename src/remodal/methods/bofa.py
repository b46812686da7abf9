"""BOFA: the map from a model's features to the text space learns, in directions that earlier tasks make no use of.

Li et al., "BOFA: bridge-layer orthogonal low-rank fusion for CLIP-based class-incremental learning", AAAI 2026. The
bridge W0 is the model's own linear map from features u to embeddings. A task trains W from the last task's by
cross-entropy of ``scale * cos(W u, p_c)`` over all classes seen, where a class's prototype mixes its mean and its name,
``p_c = l norm(W0 m_c) + (1 - l) name_c``. What is kept is ``W0 + (W - W0) A A^T``: A are the least eigenvectors of the
earlier tasks' mean second moment of u, in whose directions these tasks' items hardly lie (the first task keeps W). At
test time W is the mean of the tasks' kept ones, ``score = .1 discriminant + .9 scale * cos(W u, name_c)``, the
discriminant of frozen features of unit length (:mod:`remodal.adaptation.discriminant`).

Deviations: W - W0 goes from all features to the text space, and is trained within the leading directions of the task's
items, where its gradients lie; A is found among these: where items are fewer than features, the least eigenvectors of
all would be directions in which no item lies, of this task either. The second moment is kept by its leading directions;
the decay pulls to W0 instead of 0; l is one half; the low-rank stage that the published code trains at rates near 0 is
left out. Where the model knows no names W0 is 0, the first task starts from a regression, and prototypes are names
alone. With fewer items than features the discriminant is so much larger than the cosines that it decides nearly alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain

import torch
from pydantic import Field
from torch import Generator, Tensor
from torch.nn import functional

from remodal.adaptation.alignment import Head, aligned
from remodal.adaptation.discriminant import Discriminant
from remodal.adaptation.eigen import eigh
from remodal.adaptation.rows import Rows, added, in_chunks
from remodal.adaptation.statistics import leading
from remodal.backbones import Tokens, Tower
from remodal.methods.base import TaskData, methods
from remodal.methods.parts import TowerMethod, of_unit_length, placed
from remodal.settings import Settings
from remodal.streams.base import Column
from remodal.training.trainer import Parameters, Recipe, Trainer

MEANS = 0.5
"""l, the share of a class's mean in its prototype."""
MOMENT_RANK = 256
"""Directions of the earlier tasks' second moment."""


class BofaSettings(Settings):
    """Settings of ``bofa``."""

    learning_rate: float = Field(0.05, gt=0, description="of the map")
    momentum: float = Field(0.9, ge=0, lt=1, description="of the map's stochastic gradient descent")
    weight_decay: float = Field(0.05, ge=0, description="of what the map differs by from the model's own")
    steps: int = Field(600, ge=1, le=1_000_000, description="of a task")
    batch: int = Field(128, ge=1, le=100_000, description="items a step")
    directions: int = Field(64, ge=1, le=4_000, description="in which a later task's map may differ")
    discriminant: float = Field(0.1, ge=0, le=1, description="weight of the discriminant; the rest is the names'")
    rank: int = Field(512, ge=1, le=4_000, description="directions of the covariance that all classes share")


@dataclass
class Bridge:
    """last, mean: ``[d, feature_width]``, W - W0 that was kept of the last task, and of all in the mean.

    tasks: how many. moment: ``[<= rank, feature_width]``, its Gram is the sum of the tasks' second moments. sums:
    ``[classes, feature_width]``, of a class's items.
    """

    last: Tensor
    mean: Tensor
    tasks: int
    moment: Tensor
    sums: Tensor
    classes: Discriminant


@methods.add("bofa")
class Bofa(TowerMethod[Bridge]):
    """One bridge a tower."""

    options = BofaSettings
    settings: BofaSettings
    part = Bridge
    frozen_alone = True

    def fresh(self, tower: Tower, task: TaskData, trainer: Trainer) -> Bridge:
        """The model's own map."""
        width = tower.feature_width
        own, none = torch.zeros(self.backbone.width, width), torch.zeros(0, width)
        return Bridge(own, own, 0, none, none, Discriminant.empty(width))

    def learned(self, part: Bridge, tower: Tower, task: TaskData, trainer: Trainer) -> Bridge:
        """Train the map, keep what earlier tasks make no use of, add the task to the statistics."""
        features = Rows(task.tokens, tower.features)
        known, labels = task.among(part.classes.columns)
        unit = Rows(task.tokens, partial(of_unit_length, tower))
        classes = part.classes.with_items(unit, task.labels, task.columns, self.settings.rank)
        sums = added(part.sums, features, labels, len(known))
        means = sums / classes.counts.clamp(min=1)[:, None]
        targets = prototypes(tower, means, self.backbone.anchors([column.name for column in known]))
        head = Head.alone(tower, features, part.last, targets, labels)
        kept = self._trained(head, features, labels, targets, trainer)
        if part.tasks:
            least = unused(head.basis, part.moment, self.settings.directions)
            kept = kept @ least @ least.T
        tasks, own = part.tasks + 1, (rows / len(features) ** 0.5 for _, rows in in_chunks(features))
        moment = leading(chain([part.moment], own), MOMENT_RANK)
        return Bridge(kept, part.mean + (kept - part.mean) / tasks, tasks, moment, sums, classes)

    def _trained(self, head: Head, features: Rows, labels: Tensor, targets: Tensor, trainer: Trainer) -> Tensor:
        """W - W0 after the task's items, whose labels are rows of ``targets``."""
        chosen, scale = self.settings, self.backbone.logit_scale
        seen = Rows(features.tokens, lambda tokens: head.seen(features.compute(tokens)))

        def loss(parameters: Parameters, batch: Tensor, _: Generator) -> Tensor:
            cosines = head.moved(seen[batch], parameters["map"]) @ targets.T
            return functional.cross_entropy(scale * cosines, labels[batch])

        recipe = Recipe(
            chosen.learning_rate, chosen.steps, chosen.batch, chosen.weight_decay, momentum=chosen.momentum, clip=None
        )
        trained = trainer.fit("map", {"map": head.start()}, loss, len(seen), recipe, divisible=True)
        return head.learned(trained["map"])

    def part_scores(self, part: Bridge, tower: Tower, tokens: Tokens, columns: Sequence[Column]) -> Tensor:
        """``.1 discriminant + .9 scale * cos(W u, name)``; NaN for classes that were not learned."""
        share, names = self.settings.discriminant, [column.name for column in columns]
        by_name = self.backbone.logits(aligned(tower, part.mean, tower.features(tokens)), names)
        by_mean = placed(part.classes.scores(of_unit_length(tower, tokens)), part.classes.columns, columns)
        return share * by_mean + (1 - share) * by_name


def prototypes(tower: Tower, means: Tensor, names: Tensor) -> Tensor:
    """``norm(l norm(W0 m_c) + (1 - l) name_c)`` ``[classes, d]``."""
    own = functional.normalize(tower.align(means), dim=-1)
    return functional.normalize(MEANS * own + (1 - MEANS) * names, dim=-1)


def unused(basis: Tensor, moment: Tensor, count: int) -> Tensor:
    """A ``[width, <= count]``: orthonormal, of the directions that ``basis`` spans those with the least second moment.

    basis: orthonormal ``[width, k]``. moment: rows ``[r, width]`` whose Gram is the second moment.
    """
    inside = (moment @ basis).double()
    _, ascending = eigh(inside.T @ inside)
    return basis @ ascending[:, :count].float()
