"""Methods that would not run on a GPU: broken in one way each."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from remodal.backbones import Tokens
from remodal.methods.base import State, TaskData
from remodal.streams.base import Column
from remodal.testing.checks.conftest import Broken, Honest, assert_caught, broken_in, caught_by
from remodal.training.trainer import Trainer

CHECK = "computes-where-features-are"


@caught_by(CHECK, "Mixed('aten.index.Tensor: found a tensor of shape (2,) on the CPU beside one elsewhere')")
class CountsOnTheCpu(Honest):
    """A tensor of the CPU can't be asked by positions that are elsewhere."""

    def learn(self, task: TaskData, trainer: Trainer) -> None:
        super().learn(task, trainer)
        torch.ones(2, device="cpu")[task.labels]


@caught_by(CHECK, "found a CPU's generator for a tensor elsewhere")
class DrawsElsewhere(Honest):
    def learn(self, task: TaskData, trainer: Trainer) -> None:
        super().learn(task, trainer)
        torch.randn(3, generator=trainer.generator("noise"))


@caught_by(CHECK, "numpy() is not supported")
class GoesThroughNumPy(Honest):
    def features(self, tokens: Tokens) -> Tensor:
        return torch.from_numpy(super().features(tokens).numpy())


@caught_by(CHECK, "on the CPU beside one elsewhere")
class LeavesOutWhatItLearned(Honest):
    """Only a state's tensors are moved to where features are."""

    def state(self) -> State:
        state = super().state()
        return State({}, {**state.values, "means": [mean.tolist() for mean in self.means.values()]})

    def restore(self, state: State) -> None:
        columns = [Column(*column) for column in state.values["columns"]]
        means = [torch.tensor(mean, device="cpu") for mean in state.values["means"]]
        self.means = dict(zip(columns, means, strict=True))
        self.biases = {column: torch.zeros(()) for column in columns}


@caught_by(CHECK, "apart from those that were learned on the CPU")
class AsksWhereItIs(Honest):
    def scores(self, tokens: Tokens, columns: Sequence[Column]) -> Tensor:
        scores = super().scores(tokens, columns)
        return scores if scores.device.type == "cpu" else scores + 1


@pytest.mark.parametrize("broken", broken_in(__name__), ids=str)
def test_a_broken_method_is_caught_by_the_check_that_is_meant_to(broken: Broken) -> None:
    assert_caught(broken)
