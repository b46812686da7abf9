"""SLCA: a slow learner for the representation, and a classifier aligned again on Gaussian pseudo-features.

Zhang et al., "SLCA: slow learner with classifier alignment for continual learning on a pre-trained model", ICCV 2023.
The representation learns at a fraction of the classifier's rate; after each task the classifier of all classes is
trained on pseudo-features ``N((0.9 + 0.1 (t_c + 1) / (t + 1)) m_c, S_c + 1e-4 I)``; t_c is the task that brought c.
There, logits are divided by the mean over the tasks of the length of a task's logits, and by a temperature. The next
task learns from the classifier as it was before its alignment.

Deviations: the slow part is a prompt (the paper fine-tunes all weights); a class's covariance is kept by its leading
directions; tasks that bring no class count for none.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from pydantic import Field
from torch import Generator, Tensor
from torch.nn import functional

from remodal.adaptation.gaussians import ClassGaussians
from remodal.adaptation.prompts import fresh_prompts
from remodal.adaptation.rows import Rows
from remodal.backbones import Tokens, Tower
from remodal.methods.base import TaskData, methods
from remodal.methods.linear_classifier import LinearClassifier, seen
from remodal.methods.parts import TowerMethod
from remodal.settings import Settings
from remodal.streams.base import Column
from remodal.training.trainer import Parameters, Recipe, Trainer

FLOOR = 1e-4
"""Variance of pseudo-features in every direction."""
TEMPERATURE = 0.1
"""Of normalised logits."""
MOMENTUM, DECAY = 0.9, 5e-4
SMALLEST = 1e-12
"""Added to a square before its root, so that logits of zero have a gradient."""


class SlcaSettings(Settings):
    """Settings of ``slca``."""

    prompt_length: int = Field(8, ge=1, le=1_000, description="keys and values a layer")
    learning_rate: float = Field(1e-2, gt=0, description="of the classifier")
    slowness: float = Field(0.01, gt=0, le=1, description="the prompts' learning rate over the classifier's")
    steps: int = Field(800, ge=1, le=1_000_000, description="of a task")
    batch: int = Field(128, ge=1, le=100_000, description="items a step")
    rank: int = Field(32, ge=1, le=4_000, description="directions of a class's covariance")
    draws: int = Field(256, ge=1, le=10_000, description="pseudo-features in a step of the alignment")
    align_steps: int = Field(5, ge=1, le=100_000, description="of the alignment, for each class so far")


@dataclass
class Learner:
    """own: the classifier before its alignment. brought: each class's first task, counted in its tower."""

    prompts: Tensor
    classifier: LinearClassifier
    own: LinearClassifier
    brought: list[int]
    classes: ClassGaussians


@methods.add("slca")
class Slca(TowerMethod[Learner]):
    """A learner of each tower."""

    options = SlcaSettings
    settings: SlcaSettings
    part = Learner

    def fresh(self, tower: Tower, task: TaskData, trainer: Trainer) -> Learner:
        """The frozen model, and no class."""
        chosen, width = self.settings, tower.feature_width
        prompts = fresh_prompts(tower, chosen.prompt_length, trainer.generator("prompts"))
        none = LinearClassifier.empty(width)
        return Learner(prompts, none, none, [], ClassGaussians.empty(width, chosen.rank))

    def learned(self, part: Learner, tower: Tower, task: TaskData, trainer: Trainer) -> Learner:
        """Learn the task slowly, add its statistics, align the whole classifier."""
        chosen = self.settings
        rate = math.sqrt(chosen.slowness)  # of the gradient as of what it moves: together the slower rate

        def prompts(parameters: Parameters, *_: Tensor) -> Tensor:
            return part.prompts + rate * parameters["step"]

        recipe = Recipe(chosen.learning_rate, chosen.steps, chosen.batch, DECAY, MOMENTUM, clip=None)
        start = {"step": torch.zeros_like(part.prompts)}
        trained, own = part.own.fit("slow", start, prompts, task, tower, recipe, trainer)
        moved = prompts(trained)
        after = Rows(task.tokens, lambda tokens: seen(tower.features(tokens, moved)))
        classes = part.classes.with_items(after, task.labels, task.columns)
        new = len(own.columns) - len(part.brought)
        brought = [*part.brought, *[max(part.brought, default=-1) + 1] * new]
        return Learner(moved, self._aligned(own, brought, classes, trainer), own, brought, classes)

    def _aligned(
        self, own: LinearClassifier, brought: list[int], classes: ClassGaussians, trainer: Trainer
    ) -> LinearClassifier:
        """The classifier trained on pseudo-features of all classes."""
        chosen, number = self.settings, len(brought)
        nearer = 0.9 + 0.1 * (torch.tensor(brought) + 1) / (max(brought) + 1)
        drawn = ClassGaussians(classes.columns, classes.counts, nearer[:, None] * classes.means, classes.factors)
        every, each = torch.arange(number), math.ceil(chosen.draws / number)
        of_task = functional.one_hot(torch.tensor(brought)).float()

        def loss(parameters: Parameters, _: Tensor, draws: Generator) -> Tensor:
            features, labels = drawn.draw(every, each, draws, floor=FLOOR)
            logits = functional.linear(features, parameters["weights"], parameters["bias"])
            return functional.cross_entropy(normalised(logits, of_task) / TEMPERATURE, labels)

        steps = chosen.align_steps * number
        recipe = Recipe(chosen.learning_rate, steps, batch=1, weight_decay=DECAY, momentum=MOMENTUM, clip=None)
        start = {"weights": own.weights, "bias": own.bias}
        return LinearClassifier(own.columns, **trainer.fit("align", start, loss, samples=1, recipe=recipe))

    def part_scores(self, part: Learner, tower: Tower, tokens: Tokens, columns: Sequence[Column]) -> Tensor:
        """The classifier's logits; NaN for classes that were not learned."""
        return part.classifier.scores(tower.features(tokens, part.prompts), columns)


def normalised(logits: Tensor, of_task: Tensor) -> Tensor:
    """Logits ``[n, classes]`` over the mean of the lengths of each task's; of_task: ``[classes, tasks]``, 1 or 0."""
    lengths: Tensor = (logits.square() @ of_task + SMALLEST).sqrt()
    return logits / lengths.mean(1, keepdim=True)
