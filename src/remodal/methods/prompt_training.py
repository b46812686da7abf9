"""What methods share that train one set of prompts, and the alignment with it, on a task alone."""

from __future__ import annotations

from pydantic import Field

from remodal.adaptation.adapt import Adapted, adapt, frozen
from remodal.backbones import Backbone
from remodal.methods.base import TaskData
from remodal.settings import Settings
from remodal.training.trainer import Recipe, Trainer


class PromptSettings(Settings):
    """Length of the prompts, and how they are trained."""

    prompt_length: int = Field(8, ge=1, le=1_000, description="keys and values a layer")
    learning_rate: float = Field(1e-3, gt=0, description="of the prompts")
    epochs: int = Field(10, ge=1, le=100_000, description="passes over a task's items")
    batch: int = Field(64, ge=1, le=100_000, description="items a step")

    def recipe(self, samples: int) -> Recipe:
        """For the trainer, on so many items."""
        return Recipe.passes(self.learning_rate, self.epochs, self.batch, samples)


def trained(
    backbone: Backbone, task: TaskData, settings: PromptSettings, trainer: Trainer, start: Adapted | None = None
) -> Adapted:
    """Prompts and alignment after ``task``, from ``start`` or from the frozen model."""
    tower = backbone.tower(task.modality)
    start = start or frozen(tower, backbone.width, settings.prompt_length, trainer)
    anchors, recipe = backbone.anchors(task.classes), settings.recipe(len(task.tokens))
    return adapt(tower, task.tokens, task.labels, anchors, start, backbone.logit_scale, recipe, trainer)
