"""What methods share that train one set of prompts, and the alignment with it, on a task alone."""

from __future__ import annotations

from pydantic import Field

from remodal.adaptation.adapt import Adapted, adapt, frozen
from remodal.adaptation.lesson import Lesson
from remodal.settings import Settings
from remodal.training.trainer import Recipe, Trainer


class PromptSettings(Settings):
    """Length of the prompts, and how they are trained."""

    prompt_length: int = Field(8, ge=1, le=1_000, description="keys and values a layer")
    learning_rate: float = Field(1e-3, gt=0, description="of the prompts")
    steps: int = Field(800, ge=1, le=1_000_000, description="of a task")
    batch: int = Field(128, ge=1, le=100_000, description="items a step")

    @property
    def recipe(self) -> Recipe:
        """For the trainer."""
        return Recipe(self.learning_rate, self.steps, self.batch)


def trained(lesson: Lesson, settings: PromptSettings, trainer: Trainer, start: Adapted | None = None) -> Adapted:
    """Prompts and alignment after ``lesson``, from ``start`` or from the frozen model."""
    start = start or frozen(lesson.tower, lesson.anchors.shape[1], settings.prompt_length, trainer)
    return adapt(lesson, start, settings.recipe, trainer)
