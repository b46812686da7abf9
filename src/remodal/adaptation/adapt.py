"""Learning one task by gradient: prompts and an alignment adapter, against the text anchors of the task's classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from remodal.adaptation.alignment import aligned
from remodal.adaptation.lesson import Lesson
from remodal.adaptation.merge import self_regularisation
from remodal.adaptation.prompts import beside, fresh_prompts
from remodal.adaptation.rows import Rows
from remodal.backbones import Tokens, Tower
from remodal.training.trainer import Parameters, Recipe, Trainer

FEWEST_CLIPS = 8
"""In a step."""


@dataclass(frozen=True)
class Adapted:
    """What is learned for a modality: prompts ``[layers, 2, length, width]`` and adapter A ``[d, feature_width]``."""

    prompts: Tensor
    adapter: Tensor


def frozen(tower: Tower, width: int, length: int, trainer: Trainer) -> Adapted:
    """What leaves the frozen model as it is: fresh prompts of ``length`` and an adapter of zeros to ``width``."""
    return Adapted(fresh_prompts(tower, length, trainer.generator("prompts")), torch.zeros(width, tower.feature_width))


def adapted_embeddings(tower: Tower, model: Adapted, tokens: Tokens) -> Tensor:
    """What items are mapped to in the text space ``[n, d]``, L2-normalised."""
    return aligned(tower, model.adapter, tower.features(tokens, model.prompts))


@dataclass(frozen=True)
class Borrowed:
    """Prompts of other modalities, ``[layers, 2, length, width]`` each, and the weight of each."""

    prompts: Sequence[Tensor] = ()
    weights: Sequence[float] = ()

    def beside(self, own: Tensor) -> Tensor:
        """``own`` and these, as :func:`~remodal.adaptation.prompts.beside` says."""
        return beside(own, self.prompts, self.weights)


NOTHING = Borrowed()


@dataclass(frozen=True)
class Held:
    """What holds a task back: embeddings ``[n, d]`` of its items before it, and the weight of the shift's penalty."""

    before: Rows
    weight: float

    def penalty(self, _: Parameters, batch: Tensor, embedded: Tensor) -> Tensor:
        """Of the shift of a batch, as :data:`~remodal.adaptation.lesson.Extra`."""
        return self.weight * self_regularisation(embedded, self.before[batch])


def suited(tower: Tower, tokens: Tokens, batch: int, rate: float | None, steps: int | None) -> Recipe:
    """How prompts are trained on these items; what is None is what suits the encoder.

    batch: items a step, or pictures where each of them passes a transformer; of long clips at least ``FEWEST_CLIPS``.
    """
    suits = tower.prompt_training
    if suits.frames:
        frames = float(tokens.lengths.float().mean()) * tower.encoder.cost
        batch = max(FEWEST_CLIPS, round(batch / frames))
    return Recipe(suits.rate if rate is None else rate, suits.steps if steps is None else steps, batch)


def adapt(
    lesson: Lesson,
    start: Adapted,
    recipe: Recipe,
    trainer: Trainer,
    *,
    borrowed: Borrowed = NOTHING,
    held: Held | None = None,
    stage: str = "adapt",
) -> Adapted:
    """What is learned of ``lesson`` from ``start``.

    borrowed: other modalities' prompts, which act beside those that are trained. stage: what the trainer's journal
    calls it.
    """

    def prompts(parameters: Parameters, _: Tensor) -> Tensor:
        return borrowed.beside(parameters["prompts"])

    trained = lesson.fit_prompts(
        stage,
        {"prompts": start.prompts},
        prompts,
        start.adapter,
        recipe,
        trainer,
        None if held is None else held.penalty,
        under=borrowed.beside(start.prompts),
    )
    return Adapted(trained["prompts"], trained["adapter"])
