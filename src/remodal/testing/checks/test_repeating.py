"""What is left of a method on disk, and what it draws: broken in one way each."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from remodal.backbones import Tokens
from remodal.methods.base import State, TaskData
from remodal.streams.base import Column
from remodal.testing.checks.conftest import Broken, Honest, assert_caught, broken_in, caught_by
from remodal.training.trainer import Parameters, Recipe, Trainer


@caught_by("saves-and-loads", "scores of the restored method")
class ForgetsItsBiases(Honest):
    def restore(self, state: State) -> None:
        super().restore(state)
        self.biases = {column: torch.zeros(()) for column in self.biases}


@caught_by("saves-and-loads", "scores of the restored method after learning on")
class ForgetsHowManyTasks(Honest):
    """Answers as before, but learns on from something that it did not save."""

    tasks = 0

    def learn(self, task: TaskData, trainer: Trainer) -> None:
        super().learn(task, trainer)
        self.tasks += 1
        self.biases[task.columns[0]] = self.biases[task.columns[0]] + self.tasks


@caught_by("saves-and-loads", "a state that changed as the method learned on; expected a snapshot")
class SharesItsState(Honest):
    def learn(self, task: TaskData, trainer: Trainer) -> None:
        super().learn(task, trainer)
        for mean in self.means.values():
            mean *= 0.999


@caught_by("saves-and-loads", "found TypeError")
class SavesAnObject(Honest):
    def state(self) -> State:
        return State(super().state().tensors, {**super().state().values, "method": object()})


@caught_by("saves-and-loads", "apart (not contiguous, as a file's tensors are: means/0, means/1, ")
class HoldsColumns(Honest):
    """Numbers that don't lie side by side may be multiplied to other last bits; here they surely are."""

    def learn(self, task: TaskData, trainer: Trainer) -> None:
        super().learn(task, trainer)
        for column in task.columns:
            self.means[column] = torch.stack([self.means[column]] * 2, dim=1)[:, 0]

    def scores(self, tokens: Tokens, columns: Sequence[Column]) -> Tensor:
        return super().scores(tokens, columns) + 1e-6 * sum(mean.stride(0) for mean in self.means.values())


@caught_by("follows-its-seed", "scores of two runs of one seed")
class ForgetsItsGenerator(Honest):
    def learn(self, task: TaskData, trainer: Trainer) -> None:
        super().learn(task, trainer)
        self.means = {column: mean + 1e-3 * torch.randn(mean.shape) for column, mean in self.means.items()}


@caught_by("follows-its-seed", "scores of two runs of one seed")
class RemembersEarlierRuns(Honest):
    runs: list[int] = []  # noqa: RUF012  # the mistake

    def learn(self, task: TaskData, trainer: Trainer) -> None:
        super().learn(task, trainer)
        self.runs.append(task.index)
        self.biases[task.columns[0]] = self.biases[task.columns[0]] + len(self.runs)


@caught_by("resumes-in-mid-task", "after a kill at step")
class CountsItsOwnSteps(Honest):
    """Something advances with the steps and is not in the journal."""

    def learn(self, task: TaskData, trainer: Trainer) -> None:
        super().learn(task, trainer)
        steps: list[Tensor] = []

        def loss(parameters: Parameters, batch: Tensor, _: torch.Generator) -> Tensor:
            steps.append(batch)
            return parameters["bias"] * (-1) ** (len(steps) // 2)

        start = {"bias": torch.zeros(())}
        self.biases[task.columns[0]] = trainer.fit("count", start, loss, len(task.tokens), Recipe(0.1, 9, 8))["bias"]


@caught_by("resumes-in-mid-task", "after a kill at step")
class NamesTwoStagesAlike(Honest):
    def learn(self, task: TaskData, trainer: Trainer) -> None:
        super().learn(task, trainer)

        def loss(parameters: Parameters, _: Tensor, __: torch.Generator) -> Tensor:
            return (parameters["bias"] - 1).square().sum()

        start = {"bias": torch.zeros(len(task.classes))}
        more = trainer.fit("bias", start, loss, len(task.tokens), Recipe(0.01, 9, 8))["bias"]
        self.biases.update({column: self.biases[column] + one for column, one in zip(task.columns, more)})


@caught_by("learns-a-task-whole-or-not-at-all", "another state after learning was broken off at")
class LearnsInTwoHalves(Honest):
    """The means first, then the biases."""

    def learn(self, task: TaskData, trainer: Trainer) -> None:
        features = self.features(task.tokens)
        self.means.update({column: features[task.labels == at].mean(0) for at, column in enumerate(task.columns)})
        self.biases.update(dict.fromkeys(task.columns, torch.zeros(())))
        super().learn(task, trainer)


@caught_by("learns-a-task-whole-or-not-at-all", "and begun again")
class CountsHowOftenItBegan(Honest):
    """What it counts is not in its state."""

    begun = 0

    def learn(self, task: TaskData, trainer: Trainer) -> None:
        self.begun += 1
        super().learn(task, trainer)
        self.biases[task.columns[0]] = self.biases[task.columns[0]] + self.begun


@pytest.mark.parametrize("broken", broken_in(__name__), ids=str)
def test_a_broken_method_is_caught_by_the_check_that_is_meant_to(broken: Broken) -> None:
    assert_caught(broken)
