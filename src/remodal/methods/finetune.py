"""Naive sequential fine-tuning: one set of prompts and one adapter a tower, trained on each new task alone.

The usual lower bound (called "naive" or "sequential" in the field): cross-entropy over the new task's classes, nothing
held back, nothing replayed, nothing known of modalities. What it learned before is overwritten.
"""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field
from torch import Tensor

from remodal.adaptation.adapt import Adapted, adapted_embeddings, frozen
from remodal.backbones import Tokens, Tower
from remodal.methods.base import TaskData, methods
from remodal.methods.parts import TowerMethod, frozen_logits
from remodal.methods.prompt_training import PromptSettings, trained
from remodal.streams.base import Column
from remodal.training.trainer import Trainer


class FinetuneSettings(PromptSettings):
    """Settings of ``finetune``."""

    learning_rate: float = Field(3e-4, gt=0, description="of the prompts")


@methods.add("finetune")
class Finetune(TowerMethod[Adapted]):
    """Each task starts where the last one ended."""

    options = FinetuneSettings
    settings: FinetuneSettings
    part = Adapted

    def fresh(self, tower: Tower, task: TaskData, trainer: Trainer) -> Adapted:
        """The frozen model."""
        return frozen(tower, self.backbone.width, self.settings.prompt_length, trainer)

    def learned(self, part: Adapted, tower: Tower, task: TaskData, trainer: Trainer) -> Adapted:
        """Train on the task's classes alone."""
        return trained(self.lesson(task), self.settings, trainer, part)

    def part_scores(self, part: Adapted, tower: Tower, tokens: Tokens, columns: Sequence[Column]) -> Tensor:
        """``scale * z . anchor``, whatever the candidate's modality."""
        return self.backbone.logits(adapted_embeddings(tower, part, tokens), [column.name for column in columns])

    def unlearned_scores(self, tower: Tower, tokens: Tokens, columns: Sequence[Column]) -> Tensor:
        """The frozen model's."""
        return frozen_logits(self.backbone, tower, tokens, columns)
