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
from functools import partial

import torch
from pydantic import Field
from torch import Generator, Tensor
from torch.nn import functional

from remodal.adaptation.columns import joined
from remodal.adaptation.gaussians import ClassGaussians
from remodal.adaptation.prompts import fresh_prompts
from remodal.adaptation.rows import Rows
from remodal.backbones import Tokens, Tower
from remodal.methods.base import TaskData, methods
from remodal.methods.parts import TowerMethod, placed
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
    """weights: ``[classes, features]``; bias: ``[classes]``; brought: each class's first task, counted in its tower.

    own_weights, own_bias: of the classifier before its alignment.
    """

    prompts: Tensor
    weights: Tensor
    bias: Tensor
    own_weights: Tensor
    own_bias: Tensor
    brought: list[int]
    classes: ClassGaussians

    @classmethod
    def earlier(cls, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        """Before the classifier was kept as it was before its alignment."""
        return {"own_weights": tensors["weights"], "own_bias": tensors["bias"], **tensors}


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
        none = ClassGaussians.empty(width, chosen.rank)
        weights, bias = torch.zeros(0, width), torch.zeros(0)
        return Learner(prompts, weights, bias, weights, bias, [], none)

    def learned(self, part: Learner, tower: Tower, task: TaskData, trainer: Trainer) -> Learner:
        """Learn the task slowly, add its statistics, align the whole classifier."""
        chosen = self.settings
        known, rows = joined(part.classes.columns, task.columns)
        grown = len(known) - len(part.bias)
        weights = torch.cat([part.own_weights, part.weights.new_zeros(grown, part.weights.shape[1])])
        bias = torch.cat([part.own_bias, part.bias.new_zeros(grown)])
        brought = [*part.brought, *[max(part.brought, default=-1) + 1] * grown]

        rate = math.sqrt(chosen.slowness)  # of the gradient as of what it moves: together the slower rate

        def prompts(step: Tensor) -> Tensor:
            return part.prompts + rate * step

        def loss(parameters: Parameters, batch: Tensor, _: Generator) -> Tensor:
            features = tower.features(task.tokens[batch], prompts(parameters["step"]))
            logits = features @ parameters["weights"].T + parameters["bias"]
            return functional.cross_entropy(logits, task.labels[batch])

        recipe = Recipe(chosen.learning_rate, chosen.steps, chosen.batch, DECAY, MOMENTUM, clip=None)
        start = {"step": torch.zeros_like(part.prompts), "weights": weights[rows], "bias": bias[rows]}
        trained = trainer.fit("slow", start, loss, len(task.tokens), recipe, divisible=True)
        weights = weights.index_copy(0, rows, trained["weights"])
        bias = bias.index_copy(0, rows, trained["bias"])
        moved = prompts(trained["step"])
        after = Rows(task.tokens, partial(tower.features, prompts=moved))
        classes = part.classes.with_items(after, task.labels, task.columns)
        aligned = self._aligned(weights, bias, brought, classes, trainer)
        return Learner(moved, *aligned, weights, bias, brought, classes)

    def _aligned(
        self, weights: Tensor, bias: Tensor, brought: list[int], classes: ClassGaussians, trainer: Trainer
    ) -> tuple[Tensor, Tensor]:
        """The classifier trained on pseudo-features of all classes."""
        chosen = self.settings
        nearer = 0.9 + 0.1 * (torch.tensor(brought) + 1) / (max(brought) + 1)
        drawn = ClassGaussians(classes.columns, classes.counts, nearer[:, None] * classes.means, classes.factors)
        every, each = torch.arange(len(bias)), math.ceil(chosen.draws / len(bias))
        of_task = functional.one_hot(torch.tensor(brought)).float()

        def loss(parameters: Parameters, _: Tensor, draws: Generator) -> Tensor:
            features, labels = drawn.draw(every, each, draws, floor=FLOOR)
            logits = features @ parameters["weights"].T + parameters["bias"]
            return functional.cross_entropy(normalised(logits, of_task) / TEMPERATURE, labels)

        steps = chosen.align_steps * len(bias)
        recipe = Recipe(chosen.learning_rate, steps, batch=1, weight_decay=DECAY, momentum=MOMENTUM, clip=None)
        trained = trainer.fit("align", {"weights": weights, "bias": bias}, loss, samples=1, recipe=recipe)
        return trained["weights"], trained["bias"]

    def part_scores(self, part: Learner | None, tower: Tower, tokens: Tokens, columns: Sequence[Column]) -> Tensor:
        """The classifier's logits; NaN for classes that were not learned."""
        if part is None:
            return torch.full((len(tokens), len(columns)), torch.nan)
        logits = tower.features(tokens, part.prompts) @ part.weights.T + part.bias
        return placed(logits, part.classes.columns, columns)


def normalised(logits: Tensor, of_task: Tensor) -> Tensor:
    """Logits ``[n, classes]`` over the mean of the lengths of each task's; of_task: ``[classes, tasks]``, 1 or 0."""
    lengths: Tensor = (logits.square() @ of_task + SMALLEST).sqrt()
    return logits / lengths.mean(1, keepdim=True)
