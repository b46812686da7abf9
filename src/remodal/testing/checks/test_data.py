"""What a method sees and keeps: broken in one way each."""

from __future__ import annotations

from collections.abc import Sequence
from unittest import SkipTest

import pytest
import torch
from torch import Tensor

from remodal.backbones import Backbone, Tokens
from remodal.methods.base import State, TaskData
from remodal.settings import Settings
from remodal.streams.base import Column
from remodal.testing import CHECKS, Candidate, check_method
from remodal.testing.checks.conftest import Broken, Honest, assert_caught, broken_in, caught_by
from remodal.training.trainer import Trainer


@caught_by("sees-its-task-alone", "the name of the future class 'bell'")
class EmbedsFutureClasses(Honest):
    def __init__(self, backbone: Backbone, settings: Settings, seed: int) -> None:
        super().__init__(backbone, settings, seed)
        self.asked: set[str] = set()

    def scores(self, tokens: Tokens, columns: Sequence[Column]) -> Tensor:
        self.asked.update(column.name for column in columns)
        return super().scores(tokens, columns)

    def learn(self, task: TaskData, trainer: Trainer) -> None:
        super().learn(task, trainer)
        self.backbone.anchors(sorted({*task.classes, *self.asked}))


@caught_by("sees-its-task-alone", "tokens of held-out items")
class ReadsHeldOutItems(Honest):
    def __init__(self, backbone: Backbone, settings: Settings, seed: int) -> None:
        super().__init__(backbone, settings, seed)
        self.met: list[Tokens] = []

    def scores(self, tokens: Tokens, columns: Sequence[Column]) -> Tensor:
        self.met.append(tokens[:4])
        return super().scores(tokens, columns)

    def learn(self, task: TaskData, trainer: Trainer) -> None:
        super().learn(task, trainer)
        for tokens in self.met:
            self.features(tokens)


@caught_by("sees-its-task-alone", "with and without evaluations between the tasks")
class LearnsFromQuestions(Honest):
    """What it takes from held-out items is no token any more."""

    centre = 0.0

    def scores(self, tokens: Tokens, columns: Sequence[Column]) -> Tensor:
        self.centre = float(super().features(tokens).mean())
        return super().scores(tokens, columns)

    def learn(self, task: TaskData, trainer: Trainer) -> None:
        super().learn(task, trainer)
        self.biases[task.columns[0]] = self.biases[task.columns[0]] + self.centre


@caught_by("sees-its-task-alone", "a look at the file")
class OpensFiles(Honest):
    def learn(self, task: TaskData, trainer: Trainer) -> None:
        super().learn(task, trainer)
        open(__file__).close()


@caught_by("stores-no-items", "saved state:")
class KeepsItems(Honest):
    def __init__(self, backbone: Backbone, settings: Settings, seed: int) -> None:
        super().__init__(backbone, settings, seed)
        self.kept: list[Tensor] = []

    def learn(self, task: TaskData, trainer: Trainer) -> None:
        super().learn(task, trainer)
        self.kept.append(task.tokens.frames)

    def state(self) -> State:
        state = super().state()
        state.put("kept", {str(index): frames for index, frames in enumerate(self.kept)})
        return state

    def restore(self, state: State) -> None:
        super().restore(state)
        self.kept = list(state.under("kept").values())


@caught_by("stores-no-items", "method object:")
class KeepsItemsUnsaved(Honest):
    def learn(self, task: TaskData, trainer: Trainer) -> None:
        super().learn(task, trainer)
        vars(self).setdefault("kept", []).append(task)


@caught_by("stores-no-items", "saved state: growth of")
class KeepsPairsOfClasses(Honest):
    def state(self) -> State:
        state = super().state()
        state.tensors["pairs"] = torch.zeros(len(self.means), len(self.means))
        return state


@caught_by("stores-no-items", "bytes after 3 tasks of 40 items and")
class SaysItKeepsATasksPart(KeepsItems):
    grows_with_tasks = True


@pytest.mark.parametrize("broken", broken_in(__name__), ids=str)
def test_a_broken_method_is_caught_by_the_check_that_is_meant_to(broken: Broken) -> None:
    assert_caught(broken)


def test_a_method_that_says_it_keeps_items_may() -> None:
    class SaysSo(KeepsItems):
        keeps_items = True

    with pytest.raises(SkipTest, match="SaysSo keeps items, and says so"):
        CHECKS["stores-no-items"](Candidate.of(SaysSo))
    check_method(SaysSo)


def test_a_method_that_says_it_keeps_a_part_of_each_task_may() -> None:
    class KeepsCentres(KeepsItems):
        grows_with_tasks = True

        def learn(self, task: TaskData, trainer: Trainer) -> None:
            centre = self.features(task.tokens).mean(0)
            super().learn(task, trainer)
            self.kept[-1] = centre

    check_method(KeepsCentres)
