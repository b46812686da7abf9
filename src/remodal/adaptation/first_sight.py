"""Prompts under which a modality is seen from its first task on: trained once, and only where that pays.

Statistics of features under several prompts don't add up. So whoever keeps statistics has one set of prompts a
modality, from its first task, and later tasks keep them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from remodal.adaptation.adapt import adapt, frozen
from remodal.adaptation.lesson import Lesson
from remodal.adaptation.told_apart import confusion, second_half
from remodal.backbones import Tokens, Tower
from remodal.backbones.tokens import chunks
from remodal.training.trainer import Recipe, Trainer


def features_under(prompts: Tensor, tower: Tower, tokens: Tokens) -> Tensor:
    """Features under a modality's prompts ``[n, features]``; of the frozen model where they are empty, ``[0]``.

    They are remembered, in half precision, where a network has to run.
    """
    if not prompts.numel():
        return tower.features(tokens)
    return tower.remembered(tokens, prompts, lambda: tower.features(tokens, prompts).half()).float()


def prompts_at_first_sight(
    lesson: Lesson,
    known: Sequence[Tensor],
    length: int,
    recipe: Callable[[Lesson], Recipe],
    trainer: Trainer,
    *,
    always: bool,
) -> Tensor:
    """``[layers, 2, length, width]``; or empty, ``[0]``, where the frozen model serves best.

    They start from those of ``known``, or from none, under which the lesson's items are told apart best. They are
    trained ``always``, or else where prompts that are trained on one half of the items serve the other half better than
    that start does.
    """
    tower, some = lesson.tower, chunks(len(lesson.tokens))[0]
    tokens, labels = lesson.tokens[some], lesson.labels[some]

    def confused(prompts: Tensor) -> Tensor:
        return confusion(features_under(prompts, tower, tokens), labels)

    errors, start = min(((confused(one), one) for one in (torch.zeros(0), *known)), key=lambda of: of[0].mean())
    begin = frozen(tower, lesson.anchors.shape[1], length, trainer)
    if start.numel():
        begin = replace(begin, prompts=start)

    def trained(on: Lesson, stage: str) -> Tensor:
        return adapt(on, begin, recipe(on), trainer, stage=stage).prompts

    if not always:
        held_out = second_half(lesson.labels)
        if not held_out[some].any():
            return start
        half = (~held_out).nonzero()[:, 0]
        trial = trained(replace(lesson, tokens=lesson.tokens[half], labels=lesson.labels[half]), "trial")
        if confused(trial)[held_out[some]].mean() >= errors[held_out[some]].mean():
            return start
    return trained(lesson, "adapt")
