"""Nearest class mean of frozen features (SimpleCIL).

Zhou et al., "Revisiting class-incremental learning with pre-trained models", IJCV 2024: the mean of a class's frozen
features is its prototype, cosine similarity the score. No gradient, no forgetting, any order of tasks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from remodal.adaptation.rows import Rows, added
from remodal.adaptation.summed import summed, terms_of
from remodal.backbones import Tokens, Tower
from remodal.methods.additive import Additive, Signed
from remodal.methods.base import TaskData, methods
from remodal.methods.parts import of_unit_length, placed
from remodal.streams.base import Column
from remodal.training.trainer import Trainer


@dataclass
class Prototypes:
    """sums: ``[classes, features]``, of a class's features; the direction is the prototype's."""

    columns: list[Column]
    sums: Tensor


@methods.add("nearest-mean")
class NearestMean(Additive[Prototypes]):
    """Prototypes of each tower's classes."""

    part = Prototypes
    frozen_alone = True

    def fresh(self, tower: Tower, task: TaskData, trainer: Trainer) -> Prototypes:
        """Of no class."""
        return Prototypes([], torch.zeros(0, tower.feature_width))

    def learned(self, part: Prototypes, tower: Tower, task: TaskData, trainer: Trainer) -> Prototypes:
        """Add the task's features to their classes' sums."""
        known, labels = task.among(part.columns)
        return Prototypes(known, added(part.sums, Rows(task.tokens, tower.features), labels, len(known)))

    def added_up(self, tower: Tower, parts: Sequence[Signed[Prototypes]]) -> Prototypes:
        """Sums add up."""
        columns, terms = terms_of([(sign, part.sums, part.columns) for sign, part in parts])
        return Prototypes(columns, summed(terms, len(columns)))

    def part_scores(self, part: Prototypes, tower: Tower, tokens: Tokens, columns: Sequence[Column]) -> Tensor:
        """Cosine to the prototypes."""
        return placed(of_unit_length(tower, tokens) @ functional.normalize(part.sums, dim=-1).T, part.columns, columns)
