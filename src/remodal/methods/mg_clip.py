"""MG-CLIP: a model that moves only as far as its modality gap allows, and a second classifier for what that leaves out.

Huang et al., "Mind the gap: preserving and compensating for the modality gap in CLIP-based continual learning", ICCV
2025. Preserving: one set of low-rank weights learns all tasks, by cross-entropy over a task's classes; for as many
epochs as it takes, on the first task, to move the mean logit of the wrong classes by 10 %. Compensating: beside the
names there is a classifier of the visual embeddings z; a class's row r starts as the mean of its items, is trained by
cross-entropy of ``z . r`` over the task's classes, and never again. ``score = .2 softmax(scale z . name) + .8
softmax(z . r)``.

Deviations: prompts and the alignment beside them in place of low-rank weights in both encoders; an epoch is the paper's
in steps, however many items there are; one, two, four and eight are tried, each with a schedule of its own; the 10 %
are of the mean logit of the right classes, since that of the wrong ones is near 0 where names are centred, as here; a
class that comes again trains its row on; the score is the logarithm of the paper's; a class that was not learned has
its name's part alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import torch
from pydantic import Field
from torch import Generator, Tensor
from torch.nn import functional

from remodal.adaptation.adapt import Adapted, adapt, adapted_embeddings, frozen
from remodal.adaptation.columns import joined
from remodal.adaptation.lesson import Lesson
from remodal.adaptation.rows import Rows, added, in_chunks
from remodal.backbones import Tokens, Tower
from remodal.methods.base import TaskData, methods
from remodal.methods.parts import TowerMethod, frozen_logits, placed
from remodal.settings import Settings
from remodal.streams.base import Column
from remodal.training.trainer import Parameters, Recipe, Trainer

EPOCHS = (1, 2, 4, 8)
"""That the first task tries."""
MOVE = 0.1
"""Of the mean logit of wrong classes, over the mean logit of right ones: so far the first task moves it."""


class MgClipSettings(Settings):
    """Settings of ``mg-clip``."""

    prompt_length: int = Field(8, ge=1, le=1_000, description="keys and values a layer")
    learning_rate: float = Field(1e-3, gt=0, description="of the prompts")
    steps: int = Field(
        40, ge=1, le=100_000, description="of an epoch; the first task says how many epochs a task takes"
    )
    batch: int = Field(128, ge=1, le=100_000, description="items a step")
    row_rate: float = Field(5e-4, gt=0, description="learning rate of the second classifier")
    row_steps: int = Field(120, ge=1, le=1_000_000, description="of the second classifier")
    names: float = Field(0.2, gt=0, lt=1, description="weight of the names, the rest is the second classifier's")


@dataclass
class Compensated:
    """epochs: that a task takes; 0 before the first one. rows: ``[classes, d]``, of the second classifier."""

    model: Adapted
    epochs: int
    columns: list[Column]
    rows: Tensor


@methods.add("mg-clip")
class MgClip(TowerMethod[Compensated]):
    """One model and two classifiers a tower."""

    options = MgClipSettings
    settings: MgClipSettings
    part = Compensated

    def fresh(self, tower: Tower, task: TaskData, trainer: Trainer) -> Compensated:
        """The frozen model, and no class."""
        model = frozen(tower, self.backbone.width, self.settings.prompt_length, trainer)
        return Compensated(model, 0, [], torch.zeros(0, self.backbone.width))

    def learned(self, part: Compensated, tower: Tower, task: TaskData, trainer: Trainer) -> Compensated:
        """Move the model on, then add the task's rows."""
        if part.epochs:
            model, epochs = adapt(self.lesson(task), part.model, self._recipe(part.epochs), trainer), part.epochs
        else:
            model, epochs = self._first(self.lesson(task), part.model, trainer)
        columns, rows = self._with_rows(
            part, task, Rows(task.tokens, partial(adapted_embeddings, tower, model)), trainer
        )
        return Compensated(model, epochs, columns, rows)

    def _recipe(self, epochs: int) -> Recipe:
        return Recipe(self.settings.learning_rate, epochs * self.settings.steps, self.settings.batch, clip=None)

    def _first(self, lesson: Lesson, start: Adapted, trainer: Trainer) -> tuple[Adapted, int]:
        """The model after the first task, and the fewest epochs that move the wrong classes' logits far enough."""
        right, wrong = mean_logits(lesson, start)
        for epochs in EPOCHS if len(lesson.anchors) > 1 else EPOCHS[:1]:  # of one class, none is wrong
            model = adapt(lesson, start, self._recipe(epochs), trainer, stage=f"adapt for {epochs}")
            if abs(mean_logits(lesson, model)[1] - wrong) > MOVE * abs(right):
                break
        return model, epochs

    def _with_rows(
        self, part: Compensated, task: TaskData, embedded: Rows, trainer: Trainer
    ) -> tuple[list[Column], Tensor]:
        """Columns and rows with those of the task, trained on it; the row of a known class from where it is."""
        columns, places = joined(part.columns, task.columns)
        labels = places[task.labels]
        means = functional.normalize(added(torch.zeros_like(part.rows), embedded, labels, len(columns)), dim=-1)
        rows = torch.cat([part.rows, means[len(part.rows) :]])

        def loss(parameters: Parameters, batch: Tensor, _: Generator) -> Tensor:
            cosines = embedded[batch] @ functional.normalize(parameters["rows"], dim=-1).T
            return functional.cross_entropy(cosines, task.labels[batch])

        recipe = Recipe(self.settings.row_rate, self.settings.row_steps, self.settings.batch, clip=None)
        start = {"rows": rows[places]}
        trained = trainer.fit("rows", start, loss, len(embedded), recipe, divisible=True)["rows"]
        return columns, rows.index_copy(0, places, functional.normalize(trained, dim=-1))

    def part_scores(self, part: Compensated, tower: Tower, tokens: Tokens, columns: Sequence[Column]) -> Tensor:
        """``log(.2 softmax(scale z . name) + .8 softmax(z . row))``, the softmaxes over the classes learned."""
        embedded = adapted_embeddings(tower, part.model, tokens)
        names = self.backbone.logits(embedded, [column.name for column in columns])
        known = self.backbone.logits(embedded, [column.name for column in part.columns])
        by_name = names - known.logsumexp(1, keepdim=True) + math.log(self.settings.names)
        by_row = (embedded @ part.rows.T).log_softmax(1) + math.log(1 - self.settings.names)
        return torch.logaddexp(by_name, placed(by_row, part.columns, columns).nan_to_num(nan=-torch.inf))

    def unlearned_scores(self, tower: Tower, tokens: Tokens, columns: Sequence[Column]) -> Tensor:
        """The frozen model's."""
        return frozen_logits(self.backbone, tower, tokens, columns)


def mean_logits(lesson: Lesson, model: Adapted) -> tuple[float, float]:
    """Mean over a lesson's items of ``scale z . anchor``: of the right classes, and of the wrong ones."""
    right, every = 0.0, 0.0
    for rows, z in in_chunks(Rows(lesson.tokens, partial(adapted_embeddings, lesson.tower, model))):
        logits = lesson.scale * z @ lesson.anchors.T
        right += float(logits.gather(1, lesson.labels[rows, None]).sum())
        every += float(logits.sum())
    items, others = len(lesson.tokens), max(1, len(lesson.anchors) - 1)
    return right / items, (every - right) / (items * others)
