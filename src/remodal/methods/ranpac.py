"""RanPAC with its width chosen: random features and ridge regression.

McDonnell et al., "RanPAC: Random projections and pre-trained models for continual learning", NeurIPS 2023. As
``ridge``, whose formulas and deviations hold here; but the number of random features (1e4 in the paper) is chosen on
held-out items of the first task that a tower sees: the one with the least squared error. With 6000 or 1e4 at most the
choice was the same or worse (``docs/experiments.md``).
"""

from __future__ import annotations

from pydantic import Field
from torch import Tensor

from remodal.adaptation.ridge import StreamingRidge
from remodal.backbones import Tower
from remodal.methods.base import TaskData, methods
from remodal.methods.parts import held_out, mean_features
from remodal.methods.random_features import RandomFeaturesSettings
from remodal.methods.ridge import STRENGTHS, Ridge, extended, squared_errors
from remodal.training.trainer import Trainer


class RanpacSettings(RandomFeaturesSettings):
    """Settings of ``ranpac``."""

    width: int = Field(3000, ge=4, le=20_000, description="random features at most; half and a quarter are tried too")


@methods.add("ranpac")
class Ranpac(Ridge):
    """Ridge regression of a chosen width."""

    options = RanpacSettings
    settings: RanpacSettings

    def width(self, tower: Tower, task: TaskData, trainer: Trainer) -> int:
        """The width that does best on a fifth of the task."""
        most = self.settings.width
        centre = mean_features(tower, task)
        learned, held = held_out(len(task.labels), trainer.generator("width"))
        errors = {}
        for width in (most // 4, most // 2, most):

            def lift(rows: Tensor, width: int = width) -> Tensor:
                return self.lifted(tower, tower.features(task.tokens[rows]), centre, width)

            moments = extended(StreamingRidge.empty(width), lift, task.labels, learned, len(task.classes))
            solved = [moments.solve(strength) for strength in STRENGTHS]
            errors[width] = min(squared_errors(solved, lift, task.labels, held))
        return min(errors, key=lambda width: errors[width])
