"""Losses that are said to be means over a batch's items, and are none."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from remodal.methods.base import TaskData
from remodal.testing.checks.conftest import Broken, Honest, assert_caught, broken_in, caught_by
from remodal.training.trainer import Parameters, Recipe, Trainer


@caught_by("shares-batches", "apart where 3 processes share a batch of a `divisible` stage")
class BalancesItsBatch(Honest):
    """A term of the whole batch: the classes are to be answered equally often."""

    def learn(self, task: TaskData, trainer: Trainer) -> None:
        super().learn(task, trainer)
        features = self.features(task.tokens)
        fixed = features @ torch.stack([self.means[column] for column in task.columns]).T

        def loss(parameters: Parameters, batch: Tensor, _: torch.Generator) -> Tensor:
            logits = fixed[batch] + parameters["bias"]
            unbalanced = logits.softmax(1).mean(0).square().sum()
            return functional.cross_entropy(logits, task.labels[batch]) + unbalanced

        start = {"bias": torch.arange(len(task.classes)).float()}
        trainer.fit("balance", start, loss, len(task.tokens), Recipe(0.01, 9, 8), divisible=True)


@pytest.mark.parametrize("broken", broken_in(__name__), ids=str)
def test_a_broken_method_is_caught_by_the_check_that_is_meant_to(broken: Broken) -> None:
    assert_caught(broken)
