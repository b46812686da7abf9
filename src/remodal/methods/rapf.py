"""RAPF: one linear map on frozen features, pseudo-samples of old classes, a hinge on near names, fusion of parameters.

Huang et al., "Class-incremental learning with CLIP: adaptive representation adjustment and parameter fusion", ECCV
2024. Cross-entropy over all classes seen on the batch and pseudo-samples of some old classes; a hinge of margin 0.1
that keeps pseudo-samples of an old class nearer to its name than to a new one's, where the two names are near each
other; after the task the map is fused with the one before in the basis of its singular vectors,
``mask = min(1, |U^T A - U^T A_old| / max + 0.6)``.

Deviations: the map goes from all features to the text space and adds to the frozen one; a class's covariance is kept by
its leading directions; AdamW with a cosine schedule in place of Adam with two falls. The paper sets the distance at
which names are near, 0.55 or 0.65, and the fusion's least weight data set by data set; on unit vectors these distances
are cosines of 0.849 and 0.789.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from pydantic import Field
from torch import Generator, Tensor
from torch.nn import functional

from remodal.adaptation.alignment import aligned
from remodal.adaptation.eigen import eigh
from remodal.adaptation.gaussians import ClassGaussians
from remodal.adaptation.rows import Rows
from remodal.backbones import Tokens, Tower
from remodal.methods.base import TaskData, methods
from remodal.methods.parts import TowerMethod, frozen_logits
from remodal.settings import Settings
from remodal.streams.base import Column
from remodal.training.seeding import shuffled
from remodal.training.trainer import Parameters, Recipe, Trainer

MARGIN = 0.1
"""That an old class's pseudo-samples are nearer to its name than to a near new one's, in cosines."""
NEAR_DRAWS = 40
"""Pseudo-samples of an old class that has a near new one, in a step."""


class RapfSettings(Settings):
    """Settings of ``rapf``."""

    learning_rate: float = Field(1e-3, gt=0, description="of the map")
    steps: int = Field(750, ge=1, le=1_000_000, description="of a task")
    batch: int = Field(100, ge=1, le=100_000, description="items a step")
    old_classes: int = Field(2, ge=0, le=10_000, description="old classes that a step draws pseudo-samples of")
    old_draws: int = Field(20, ge=1, le=10_000, description="pseudo-samples of each of them")
    near: float = Field(0.849, ge=-1, le=1, description="cosine of two names from which they are near")
    fusion: float = Field(0.6, ge=0, le=1, description="least weight of what was just learned")
    rank: int = Field(32, ge=1, le=4_000, description="directions of a class's covariance")


@dataclass
class Map:
    """adapter: ``[d, features]``."""

    adapter: Tensor
    classes: ClassGaussians


@methods.add("rapf")
class Rapf(TowerMethod[Map]):
    """One map a tower."""

    options = RapfSettings
    settings: RapfSettings
    part = Map
    frozen_alone = True

    def fresh(self, tower: Tower, task: TaskData, trainer: Trainer) -> Map:
        """The frozen map."""
        none = ClassGaussians.empty(tower.feature_width, self.settings.rank)
        return Map(torch.zeros(self.backbone.width, tower.feature_width), none)

    def learned(self, part: Map, tower: Tower, task: TaskData, trainer: Trainer) -> Map:
        """Train the map on the task and pseudo-samples, fuse it, add statistics."""
        chosen, scale = self.settings, self.backbone.logit_scale
        features = Rows(task.tokens, tower.features)
        known, labels = task.among(part.classes.columns)
        anchors = self.backbone.anchors([column.name for column in known])
        old = len(part.classes.columns)
        near = (anchors[:old] @ anchors.T > chosen.near).index_fill(1, torch.arange(old), False)
        confusable = near.any(1).nonzero()[:, 0]

        def loss(parameters: Parameters, batch: Tensor, draws: Generator) -> Tensor:
            rows, classes = features[batch], labels[batch]
            if old and chosen.old_classes:
                picked = shuffled(old, draws)[: chosen.old_classes]
                drawn, of = part.classes.draw(picked, chosen.old_draws, draws)
                rows, classes = torch.cat([rows, drawn]), torch.cat([classes, of])
            cosines = aligned(tower, parameters["adapter"], rows) @ anchors.T
            total = functional.cross_entropy(scale * cosines, classes)
            if len(confusable):
                drawn, of = part.classes.draw(confusable, NEAR_DRAWS, draws)
                total = total + hinge(aligned(tower, parameters["adapter"], drawn) @ anchors.T, of, near)
            return total

        recipe = Recipe(chosen.learning_rate, chosen.steps, chosen.batch, clip=None)
        trained = trainer.fit("map", {"adapter": part.adapter}, loss, len(features), recipe)["adapter"]
        fused = fusion(part.adapter, trained, chosen.fusion) if old else trained
        return Map(fused, part.classes.with_items(features, task.labels, task.columns))

    def part_scores(self, part: Map, tower: Tower, tokens: Tokens, columns: Sequence[Column]) -> Tensor:
        """``scale * z . anchor``."""
        embedded = aligned(tower, part.adapter, tower.features(tokens))
        return self.backbone.logits(embedded, [column.name for column in columns])

    def unlearned_scores(self, tower: Tower, tokens: Tokens, columns: Sequence[Column]) -> Tensor:
        """The frozen model's."""
        return frozen_logits(self.backbone, tower, tokens, columns)


def hinge(cosines: Tensor, labels: Tensor, near: Tensor) -> Tensor:
    """Mean over pairs of an item and a class near its own of how much less than ``MARGIN`` is between their cosines.

    cosines: ``[n, classes]``. near: bool ``[old, classes]``; each of the classes in ``labels`` has a near one.
    """
    of_item = near[labels]
    lacking = (MARGIN - cosines.gather(1, labels[:, None]) + cosines).clamp(min=0)
    return lacking[of_item].mean()


def fusion(before: Tensor, learned: Tensor, least: float) -> Tensor:
    """``[d, features]``: what changed most as ``learned``, the rest from both, in the singular basis of ``before``."""
    # its left singular vectors; products of float32 would leave those of small singular values to rounding
    _, vectors = eigh(before.double() @ before.T.double())
    basis = vectors.float()
    old, new = basis.T @ before, basis.T @ learned
    change = (new - old).abs()
    mask = (change / change.max().clamp(min=1e-12) + least).clamp(max=1)
    fused: Tensor = basis @ (mask * new + (1 - mask) * old)
    return fused
