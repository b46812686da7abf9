"""Each check catches what it is there for: methods that are broken in one way each, and an honest one."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any, TypeVar
from unittest import SkipTest

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from remodal.adaptation.routed import readable
from remodal.backbones import Backbone, Tokens
from remodal.methods.base import Method, State, TaskData
from remodal.settings import Settings
from remodal.streams.base import Column
from remodal.testing import CHECKS, Candidate, ToyBackbone, check_method
from remodal.testing.memory import held_bytes
from remodal.training.trainer import Parameters, Recipe, Trainer


class Honest(Method):
    """Nearest class mean, with a bias for each class that is trained by gradient."""

    def __init__(self, backbone: Backbone, settings: Settings, seed: int) -> None:
        super().__init__(backbone, settings, seed)
        self.means: dict[Column, Tensor] = {}
        self.biases: dict[Column, Tensor] = {}

    def features(self, tokens: Tokens) -> Tensor:
        return functional.normalize(self.backbone.towers[tokens.tower].features(tokens), dim=-1)

    def learn(self, task: TaskData, trainer: Trainer) -> None:
        features = self.features(task.tokens)
        for index, column in enumerate(task.columns):
            self.means[column] = features[task.labels == index].mean(0)
        fixed = features @ torch.stack([self.means[column] for column in task.columns]).T

        def loss(parameters: Parameters, batch: Tensor, _: torch.Generator) -> Tensor:
            return functional.cross_entropy(fixed[batch] + parameters["bias"], task.labels[batch])

        start = {"bias": torch.zeros(len(task.classes))}
        bias = trainer.fit("bias", start, loss, len(task.tokens), Recipe(0.01, 3, 8))["bias"]
        self.biases.update(zip(task.columns, bias))

    def scores(self, tokens: Tokens, columns: Sequence[Column]) -> Tensor:
        features = self.features(tokens)
        scores = torch.full((len(tokens), len(columns)), torch.nan)
        for index, column in enumerate(columns):
            if column in self.means and self.means[column].shape == features.shape[1:]:
                scores[:, index] = features @ self.means[column] + self.biases[column]
        return scores.masked_fill(~readable(tokens, columns, self.backbone), -torch.inf)

    def state(self) -> State:
        state = State(values={"columns": [list(column) for column in self.means]})
        state.put("means", {str(index): mean for index, mean in enumerate(self.means.values())})
        state.put("biases", {str(index): bias for index, bias in enumerate(self.biases.values())})
        return state

    def restore(self, state: State) -> None:
        columns = [Column(*column) for column in state.values["columns"]]
        means, biases = state.under("means"), state.under("biases")
        self.means = {column: means[str(index)] for index, column in enumerate(columns)}
        self.biases = {column: biases[str(index)] for index, column in enumerate(columns)}


def frames_below(name: str) -> Any:
    """A variable of whoever called: how a method would cheat in Python."""
    frame = sys._getframe(1)
    while frame is not None and name not in frame.f_locals:
        frame = frame.f_back
    return frame.f_locals[name] if frame else None


BROKEN: list[tuple[type[Method], str, str]] = []
"""(method, the check that is meant to catch it, words of the failure)."""
Broken = TypeVar("Broken", bound=type[Method])


def caught_by(check: str, words: str) -> Callable[[Broken], Broken]:
    def add(broken: Broken) -> Broken:
        BROKEN.append((broken, check, words))
        return broken

    return add


# what it answers


@caught_by("learns", "0.00 of the training items right; expected more than 0.72")
class AnswersTheOpposite(Honest):
    def scores(self, tokens: Tokens, columns: Sequence[Column]) -> Tensor:
        scores = super().scores(tokens, columns)
        return scores.where(scores.isinf(), -scores)


@caught_by("learns", "training items right")
class LearnsWithoutUse(Honest):
    """Something is stored, but the frozen model answers."""

    def scores(self, tokens: Tokens, columns: Sequence[Column]) -> Tensor:
        tower = self.backbone.towers[tokens.tower]
        embedded = functional.normalize(tower.align(tower.features(tokens)), dim=-1)
        scores = embedded @ self.backbone.anchors([column.name for column in columns]).T
        return scores.masked_fill(~readable(tokens, columns, self.backbone), -torch.inf)


@caught_by("learns", "scores of shape (16, 9); expected (16, 10)")
class ForgetsACandidate(Honest):
    def scores(self, tokens: Tokens, columns: Sequence[Column]) -> Tensor:
        return super().scores(tokens, columns[:-1])


@caught_by("learns", "expected finite scores")
class CannotScoreSomeItems(Honest):
    def scores(self, tokens: Tokens, columns: Sequence[Column]) -> Tensor:
        scores = super().scores(tokens, columns)
        scores[-1] = torch.nan
        return scores


@caught_by("learns", "expected -inf, because another tower reads it")
class ScoresAnotherTower(Honest):
    def scores(self, tokens: Tokens, columns: Sequence[Column]) -> Tensor:
        return super().scores(tokens, columns).nan_to_num(neginf=-9.0)


@caught_by("learns", "found ZeroDivisionError('division by zero'); expected no error")
class Raises(Honest):
    def learn(self, task: TaskData, trainer: Trainer) -> None:
        1 / 0  # noqa: B018


# what it answers from


@caught_by("answers-alone", "scores of items that came")
class CentresTheBatch(Honest):
    def features(self, tokens: Tokens) -> Tensor:
        features = super().features(tokens)
        return functional.normalize(features - 0.1 * features.mean(0), dim=-1)


@caught_by("answers-alone", "answers to items that came one by one changed")
class RanksFaintlyByPosition(Honest):
    """Scores that are close whatever happens: the answers tell."""

    def scores(self, tokens: Tokens, columns: Sequence[Column]) -> Tensor:
        scores = 1e-6 * super().scores(tokens, columns)
        first = (torch.arange(len(columns)) == 0) & readable(tokens, columns, self.backbone)
        return scores + 1e-5 * (first & (len(tokens) == 1))


@caught_by("is-not-told-the-modality", "with candidates in another order")
class TakesTheFirstCandidatesModality(Honest):
    def scores(self, tokens: Tokens, columns: Sequence[Column]) -> Tensor:
        given = torch.tensor([column.modality == columns[0].modality for column in columns])
        return super().scores(tokens, columns) + given


@caught_by("is-not-told-the-modality", "where their task says")
class LooksForTheTask(Honest):
    def scores(self, tokens: Tokens, columns: Sequence[Column]) -> Tensor:
        task = frames_below("task")
        given = torch.tensor([task is not None and column.modality == task.train.modality for column in columns])
        return super().scores(tokens, columns) + given


@caught_by("is-not-told-the-modality", "with each frame three times")
class CountsFrames(Honest):
    def scores(self, tokens: Tokens, columns: Sequence[Column]) -> Tensor:
        audio = torch.tensor([column.modality == "audio" for column in columns])
        return super().scores(tokens, columns) + (tokens.lengths > 1)[:, None] * audio


@caught_by("finds-nothing-in-noise", "accuracy 1.00 on shuffled labels; expected 0.25 +- 0.11")
class LooksForTheLabels(Honest):
    def scores(self, tokens: Tokens, columns: Sequence[Column]) -> Tensor:
        scores, task = super().scores(tokens, columns), frames_below("task")
        if task is not None and len(task.test.labels) == len(tokens):
            scores[torch.arange(len(tokens)), task.test.labels] += 9
        return scores


# what is left of it on disk


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


# what it draws


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
            return (parameters["bias"] - len(steps)).square()

        start = {"bias": torch.zeros(())}
        self.biases[task.columns[0]] = trainer.fit("count", start, loss, len(task.tokens), Recipe(0.1, 3, 8))["bias"]


@caught_by("resumes-in-mid-task", "after a kill at step")
class NamesTwoStagesAlike(Honest):
    def learn(self, task: TaskData, trainer: Trainer) -> None:
        super().learn(task, trainer)

        def loss(parameters: Parameters, _: Tensor, __: torch.Generator) -> Tensor:
            return (parameters["bias"] - 1).square().sum()

        start = {"bias": torch.zeros(len(task.classes))}
        more = trainer.fit("bias", start, loss, len(task.tokens), Recipe(0.01, 3, 8))["bias"]
        self.biases.update({column: self.biases[column] + one for column, one in zip(task.columns, more)})


# what it sees


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


# what it keeps


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


@pytest.mark.parametrize(("broken", "check", "words"), BROKEN, ids=[broken.__name__ for broken, _, _ in BROKEN])
def test_a_broken_method_is_caught_by_the_check_that_is_meant_to(broken: type[Method], check: str, words: str) -> None:
    with pytest.raises(AssertionError) as failure:
        CHECKS[check](Candidate.of(broken))
    assert str(failure.value).startswith(f"{broken.__name__} fails {check}: found ")
    assert words in str(failure.value)


def test_there_is_a_broken_method_for_every_check() -> None:
    assert {check for _, check, _ in BROKEN} == set(CHECKS)


def test_an_honest_method_passes_them_all() -> None:
    check_method(Honest)


def test_all_failures_are_reported_together() -> None:
    class Twice(KeepsItems, ForgetsItsGenerator):
        pass

    with pytest.raises(AssertionError) as failure:
        check_method(Twice)
    lines = str(failure.value).splitlines()
    assert all(line.startswith("Twice fails ") for line in lines)
    assert {"follows-its-seed", "stores-no-items"} <= {line.split()[2].rstrip(":") for line in lines}


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
            super().learn(task, trainer)
            self.kept[-1] = self.features(task.tokens).mean(0)

    check_method(KeepsCentres)


def test_settings_are_quick_unless_given() -> None:
    class Options(Settings):
        epochs: int = 20
        learning_rate: float = 1e-3
        realign_steps: int = 600
        scaling: float = 2.0

    class Tuned(Honest):
        options = Options

    assert Candidate.of(Tuned).settings == Options(epochs=3, learning_rate=0.1, realign_steps=12)
    assert Candidate.of(Tuned, {"epochs": 5}).settings == Options(epochs=5, learning_rate=0.1, realign_steps=12)


def test_what_hangs_on_a_method_is_counted_with_the_storage_it_keeps_alive() -> None:
    method = Honest(ToyBackbone(), Settings(), 0)
    before = held_bytes(method)
    method.means[Column("image", "cat")] = torch.zeros(100, 24)[0]
    assert held_bytes(method) - before == 100 * 24 * 4
