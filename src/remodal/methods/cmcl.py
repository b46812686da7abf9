"""CMCL: a linear map a modality, whose updates leave what earlier tasks need (dual-sided null space).

Liu et al., "Continual multimodal contrastive learning", 2025. A modality's map on frozen features is trained by
contrast with text; its gradient G becomes ``G - P' G P``, with P the projection on the span of the features of the
modality's earlier tasks (eigenvalues of their covariance above ``least`` of the largest) and P' that of the text
embeddings of their classes: pairs that were aligned stay as they are.

Deviations: contrast is cross-entropy to the anchors of the task's classes; the map goes from all features to the text
space and adds to the frozen one (the identity there); what is projected is the whole update instead of each gradient,
so that the optimiser's momentum can't leave the null space. The paper's evaluation knows the modality; where it isn't
given, the router that all methods here share finds it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain

import torch
from pydantic import Field
from torch import Tensor

from remodal.adaptation.alignment import aligned
from remodal.adaptation.expert import Expert
from remodal.adaptation.rows import Rows, in_chunks
from remodal.adaptation.statistics import leading, orthonormal
from remodal.methods.base import TaskData, methods
from remodal.methods.routed import RoutedMethod
from remodal.settings import Settings
from remodal.training.trainer import Parameters, Recipe, Trainer

RANK = 256
"""Directions of a modality's features, and of its classes' names, that are kept."""


class CmclSettings(Settings):
    """Settings of ``cmcl``."""

    learning_rate: float = Field(1e-3, gt=0, description="of the maps")
    weight_decay: float = Field(1e-3, ge=0, description="of the update")
    steps: int = Field(390, ge=1, le=1_000_000, description="of a task")
    batch: int = Field(64, ge=1, le=100_000, description="items a step")
    least: float = Field(
        0.001, gt=0, lt=1, description="eigenvalue over the largest from which a direction is kept still"
    )


@dataclass
class Map:
    """features, names: rows whose Gram is that of all earlier features and anchors, in their leading directions."""

    expert: Expert
    features: Tensor
    names: Tensor


@methods.add("cmcl")
class Cmcl(RoutedMethod[Map]):
    """One map a modality."""

    options = CmclSettings
    settings: CmclSettings
    part = Map
    frozen_alone = True

    def learned(self, part: Map | None, task: TaskData, trainer: Trainer) -> Map:
        """Train the modality's map where earlier tasks don't need it."""
        chosen, tower = self.settings, self.backbone.tower(task.modality)
        features, width = Rows(task.tokens, tower.features), self.backbone.width
        before = part.expert.adapter if part else torch.zeros(width, tower.feature_width)
        earlier = part.features if part else torch.zeros(0, tower.feature_width)
        names = part.names if part else torch.zeros(0, width)
        right, left = span(earlier, chosen.least), span(names, chosen.least)

        def adapter(update: Tensor) -> Tensor:
            return before + update - left @ (left.T @ update @ right) @ right.T

        def embedded(parameters: Parameters, batch: Tensor) -> Tensor:
            return aligned(tower, adapter(parameters["update"]), features[batch])

        recipe = Recipe(chosen.learning_rate, chosen.steps, chosen.batch, chosen.weight_decay)
        start = {"update": torch.zeros_like(before)}
        lesson = self.lesson(task)
        trained = lesson.fit("map", start, embedded, recipe, trainer)
        expert = Expert(torch.zeros(0), adapter(trained["update"]), 1.0)
        kept = leading(chain([earlier], (own for _, own in in_chunks(features))), RANK)
        return Map(expert, kept, leading([names, lesson.anchors], RANK))

    def experts(self) -> Mapping[str, Expert]:
        """The maps."""
        return {name: one.expert for name, one in self.parts_.items()}


def span(rows: Tensor, least: float) -> Tensor:
    """Orthonormal ``[width, k]`` of what the rows hold above ``least`` of the most; of no rows, nothing."""
    return orthonormal(rows, least) if len(rows) else torch.zeros(rows.shape[1], 0)
