"""Naive sequential fine-tuning: one set of prompts and one adapter a tower, trained on each new task alone.

The usual lower bound (called "naive" or "sequential" in the field): cross-entropy over the new task's classes, nothing
held back, nothing replayed, nothing known of modalities. What it learned before is overwritten.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from pydantic import Field
from torch import Tensor

from remodal.adaptation.adapt import Adapted, adapt, aligned
from remodal.adaptation.prompts import fresh_prompts
from remodal.adaptation.routed import readable
from remodal.backbones import Backbone, Tokens
from remodal.methods.base import Method, State, TaskData, methods
from remodal.settings import Settings
from remodal.streams.base import Column
from remodal.training.trainer import Recipe, Trainer


class FinetuneSettings(Settings):
    """Settings of ``finetune``."""

    prompt_length: int = Field(8, ge=1, description="keys and values a layer")
    learning_rate: float = Field(1e-3, gt=0, description="of the prompts")
    epochs: int = Field(3, ge=1, description="passes over a task's items")
    batch: int = Field(64, ge=1, description="items a step")


@methods.add("finetune")
class Finetune(Method):
    """Each task starts where the last one ended."""

    options = FinetuneSettings

    def __init__(self, backbone: Backbone, settings: Settings, seed: int) -> None:
        super().__init__(backbone, settings, seed)
        self.chosen = cast(FinetuneSettings, settings)
        self.towers_: dict[str, Adapted] = {}

    def learn(self, task: TaskData, trainer: Trainer) -> None:
        """Train the tower's prompts and adapter on the task's classes."""
        tower = self.backbone.tower(task.modality)
        start = self.towers_.get(tower.name) or Adapted(
            fresh_prompts(tower, self.chosen.prompt_length, trainer.generator("prompts")),
            torch.zeros(self.backbone.width, tower.feature_width),
        )
        recipe = Recipe(self.chosen.learning_rate, self.chosen.epochs, self.chosen.batch)
        anchors = self.backbone.anchors(task.classes)
        self.towers_[tower.name] = adapt(
            tower, task.tokens, task.labels, anchors, start, self.backbone.logit_scale, recipe, trainer
        )

    def scores(self, tokens: Tokens, columns: Sequence[Column]) -> Tensor:
        """``scale * z . anchor``, whatever the candidate's modality."""
        tower = self.backbone.towers[tokens.tower]
        learned = self.towers_.get(tower.name)
        features = tower.features(tokens, learned.prompts if learned else None)
        embedded = aligned(tower, learned.adapter if learned else None, features)
        anchors = self.backbone.anchors([column.name for column in columns])
        scores = self.backbone.logit_scale * embedded @ anchors.T
        return scores.masked_fill(~readable(tokens, columns, self.backbone), -torch.inf)

    def state(self) -> State:
        """Prompts and adapter by tower."""
        state = State(values={"towers": list(self.towers_)})
        for name, learned in self.towers_.items():
            state.put(name, {"prompts": learned.prompts, "adapter": learned.adapter})
        return state

    def restore(self, state: State) -> None:
        """Take on what :meth:`state` gave."""
        self.towers_ = {name: Adapted(**state.under(name)) for name in state.values["towers"]}
