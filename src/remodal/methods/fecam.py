"""FeCAM: Mahalanobis distance to class means, each class with a covariance of its own.

Goswami et al., "FeCAM: exploiting the heterogeneity of class distributions in exemplar-free continual learning",
NeurIPS 2023. Features go through Tukey's transform ``u^0.5``; covariances are shrunk, ``S + g v I`` with ``v`` the mean
variance, and normalised to correlations ``S_ij / (s_i s_j)``; the score of class c is ``-(u - m)^T S_c^-1 (u - m)``.

Deviations: Tukey's transform keeps the sign, since features here may be negative; a covariance is kept by its leading
directions (the inverse is exact for what is kept, by Woodbury's identity); off-diagonal entries aren't shrunk; the
paper's features are those of a network trained on the first task, here they are the frozen ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional

from remodal.adaptation.gaussians import ClassGaussians
from remodal.adaptation.rows import Rows
from remodal.backbones import Tokens, Tower
from remodal.methods.additive import Additive, Signed
from remodal.methods.base import TaskData, methods
from remodal.methods.parts import placed
from remodal.settings import Settings
from remodal.streams.base import Column
from remodal.training.trainer import Trainer


class FecamSettings(Settings):
    """Settings of ``fecam``."""

    rank: int = Field(32, ge=1, le=4_000, description="directions of a class's covariance")
    shrinkage: float = Field(10.0, gt=0, description="of the covariance toward its mean variance")


@dataclass
class Gaussians:
    """Statistics of the transformed features."""

    classes: ClassGaussians


@methods.add("fecam")
class Fecam(Additive[Gaussians]):
    """Gaussians of each tower's classes; nothing is trained."""

    options = FecamSettings
    settings: FecamSettings
    part = Gaussians
    frozen_alone = True

    def fresh(self, tower: Tower, task: TaskData, trainer: Trainer) -> Gaussians:
        """Of no class."""
        return Gaussians(ClassGaussians.empty(tower.feature_width, self.settings.rank))

    def learned(self, part: Gaussians, tower: Tower, task: TaskData, trainer: Trainer) -> Gaussians:
        """Add the task's statistics."""
        features = Rows(task.tokens, partial(transformed, tower))
        return Gaussians(part.classes.with_items(features, task.labels, task.columns))

    def added_up(self, tower: Tower, parts: Sequence[Signed[Gaussians]]) -> Gaussians:
        """Gaussians add up."""
        return Gaussians(ClassGaussians.added_up([(sign, part.classes) for sign, part in parts]))

    def part_scores(self, part: Gaussians, tower: Tower, tokens: Tokens, columns: Sequence[Column]) -> Tensor:
        """Minus the squared distance."""
        features, shrinkage = transformed(tower, tokens), self.settings.shrinkage
        classes = zip(part.classes.means, part.classes.factors, strict=True)
        distances = [mahalanobis(features - mean, factor, shrinkage) for mean, factor in classes]
        return placed(-torch.stack(distances, dim=1), part.classes.columns, columns)


def transformed(tower: Tower, tokens: Tokens) -> Tensor:
    """Features ``[n, width]`` after Tukey's transform, L2-normalised."""
    features = tower.features(tokens)
    return functional.normalize(features.sign() * features.abs().sqrt(), dim=-1)


def mahalanobis(differences: Tensor, factor: Tensor, shrinkage: float) -> Tensor:
    """``d^T C^-1 d`` ``[n]`` for the correlation matrix C of ``factor^T factor + shrinkage * mean variance * I``.

    differences: ``[n, width]``; factor: ``[rank, width]``.
    """
    variances = factor.square().sum(0)
    floor = shrinkage * variances.mean() + 1e-8
    scaled = differences * (variances + floor).sqrt()  # the correlation's inverse is D S^-1 D
    inner = floor * torch.eye(len(factor)) + factor @ factor.T
    projected = scaled @ factor.T
    explained = (projected @ torch.linalg.inv(inner) * projected).sum(1)
    distances: Tensor = (scaled.square().sum(1) - explained) / floor
    return distances
