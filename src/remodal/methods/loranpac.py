"""LoRanPAC: least squares on many random features, without a penalty, in their leading directions alone.

Peng et al., "LoRanPAC: low-rank random features and pre-trained models for bridging theory and practice in continual
learning", ICLR 2025: ``h = ReLU(u R)``, R standard normal and wide. Of the thin singular value decomposition
``U S V^T`` of all items' h, updated as items come, as many leading directions are kept as are three quarters of the
items seen, but no more than ``rank``: small singular values are mostly noise, which their inverses would make large.
``C += h y^T``, weights ``U S^-2 U^T C``.

Deviations: 10,000 random features (1e5 in the paper) and 2,000 directions at most (1e4), so that what is stored of a
tower stays near 100 MB; the decomposition is cut after each chunk of a task, not after the task; the features are
centred by the first task's mean, as in ``ridge``.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from pydantic import Field
from torch import Tensor

from remodal.adaptation.truncated_svd import TruncatedSvd
from remodal.backbones import Tower
from remodal.methods.base import TaskData, methods
from remodal.methods.parts import mean_features
from remodal.methods.random_features import RandomFeatures, RandomFeaturesSettings, Weighted
from remodal.training.trainer import Trainer

SHARE = 0.75
"""Directions that are kept, over the items seen."""


class LoranpacSettings(RandomFeaturesSettings):
    """Settings of ``loranpac``."""

    width: int = Field(10_000, ge=1, le=100_000, description="random features")
    rank: int = Field(2_000, ge=1, le=100_000, description="directions of all items' random features, at most")


@dataclass
class Decomposed(Weighted):
    """seen: items so far. cross: ``[width, classes]``, the sums of the classes' random features."""

    seen: int
    svd: TruncatedSvd
    cross: Tensor


@methods.add("loranpac")
class Loranpac(RandomFeatures[Decomposed]):
    """One truncated decomposition a tower."""

    options = LoranpacSettings
    settings: LoranpacSettings
    part = Decomposed

    def fresh(self, tower: Tower, task: TaskData, trainer: Trainer) -> Decomposed:
        """No class and no direction yet; the centre is the first task's mean."""
        width = self.width(tower, task, trainer)
        none = torch.zeros(width, 0)
        return Decomposed([], mean_features(tower, task), none, 0, TruncatedSvd.empty(width), none)

    def learned(self, part: Decomposed, tower: Tower, task: TaskData, trainer: Trainer) -> Decomposed:
        """Decompose the task's random features along with those before, and solve again."""
        most, (known, labels) = self.settings.rank, task.among(part.columns)
        seen, svd, width = part.seen, part.svd, len(part.weights)
        cross = torch.cat([part.cross, part.cross.new_zeros(width, len(known) - part.cross.shape[1])], dim=1)
        for rows in task.chunks():
            lifted = self.inputs(part, tower, task.tokens[rows])
            seen += len(lifted)
            svd = svd.added(lifted, max(1, min(int(SHARE * seen), most)))
            cross.index_add_(1, labels[rows], lifted.T)
        return Decomposed(known, part.centre, svd.least_squares(cross), seen, svd, cross)
