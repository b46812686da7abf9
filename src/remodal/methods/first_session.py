"""First session: the model is adapted to a tower's first task and then frozen; all else is random features and ridge.

Both phases of RanPAC (McDonnell et al., "RanPAC: Random projections and pre-trained models for continual learning",
NeurIPS 2023). Phase 1: few parameters (an adapter, scales and shifts, or prompts) are trained by cross-entropy on the
first task, and never again (Panos et al., "First session adaptation", ICCV 2023). Phase 2: as ``ridge``, whose formulas
and deviations hold here but for the missing phase, on the features u under those parameters.

Deviations: of the three kinds of parameters, prompts; they are brought to the names of the task's classes, through an
alignment that is trained beside them and left behind, where the paper trains a linear classifier; they are trained as
suits the encoder (the paper: stochastic gradient descent, rate .01, batch 48, 20 epochs); each tower has a first task.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import torch
from pydantic import Field
from torch import Tensor

from remodal.adaptation.adapt import adapt, frozen, suited
from remodal.adaptation.ridge import StreamingRidge
from remodal.adaptation.rows import Rows, mean
from remodal.backbones import Tokens, Tower
from remodal.methods.additive import Signed, the_same
from remodal.methods.base import TaskData, methods
from remodal.methods.random_features import RandomFeaturesSettings
from remodal.methods.ridge import STRENGTHS, Regression, Ridge
from remodal.training.trainer import Trainer


class FirstSessionSettings(RandomFeaturesSettings):
    """Settings of ``first-session``."""

    prompt_length: int = Field(8, ge=1, le=1_000, description="keys and values a layer")
    learning_rate: float | None = Field(None, gt=0, description="of the prompts; null: as suits the encoder")
    steps: int | None = Field(None, ge=1, le=1_000_000, description="of the first task; null: as suits the encoder")
    batch: int = Field(64, ge=1, le=100_000, description="items a step; frames, where each passes a transformer")


@dataclass
class PromptedRegression(Regression):
    """prompts: ``[layers, 2, length, width]``, of the tower's first task; the regression is of features under them."""

    prompts: Tensor


@methods.add("first-session")
class FirstSession(Ridge):
    """A regression a tower, under prompts that learn once."""

    options = FirstSessionSettings
    settings: FirstSessionSettings
    part = PromptedRegression
    frozen_alone = False

    def fresh(self, tower: Tower, task: TaskData, trainer: Trainer) -> PromptedRegression:
        """Phase 1; the centre is the first task's mean, under its prompts."""
        chosen = self.settings
        recipe = suited(tower, task.tokens, chosen.batch, chosen.learning_rate, chosen.steps)
        start = frozen(tower, self.backbone.width, chosen.prompt_length, trainer)
        prompts = adapt(self.lesson(task), start, recipe, trainer).prompts
        centre = mean(Rows(task.tokens, partial(tower.features, prompts=prompts)))
        moments, weights = StreamingRidge.empty(chosen.width), torch.zeros(chosen.width, 0)
        return PromptedRegression([], centre, weights, moments, STRENGTHS[0], prompts)

    def added_up(self, tower: Tower, parts: Sequence[Signed[Regression]]) -> Regression:
        """As of any ridge regression, where the prompts are the same."""
        found = super().added_up(tower, parts)
        prompted = [(sign, part.prompts) for sign, part in parts if isinstance(part, PromptedRegression)]
        the_same(" and ".join(sorted({column.modality for column in found.columns})), prompted)
        return found

    def inputs(self, part: Regression, tower: Tower, tokens: Tokens) -> Tensor:
        """Lifted features under the prompts, ``[n, width]``."""
        assert isinstance(part, PromptedRegression)
        return self.lifted(tower, tower.features(tokens, part.prompts), part.centre, len(part.weights))
