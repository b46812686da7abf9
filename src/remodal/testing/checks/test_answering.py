"""What a method answers, and from what: broken in one way each."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from remodal.backbones import Tokens
from remodal.methods.base import TaskData, readable
from remodal.streams.base import Column
from remodal.testing.checks.conftest import Broken, Honest, assert_caught, broken_in, caught_by
from remodal.training.trainer import Trainer


def frames_below(name: str) -> Any:
    """A variable of whoever called: how a method would cheat in Python."""
    frame = sys._getframe(1)
    while frame is not None and name not in frame.f_locals:
        frame = frame.f_back
    return frame.f_locals[name] if frame else None


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


@caught_by("learns", "scores of shape (16, 9) where all are asked for; expected (16, 10)")
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


@caught_by("learns-from-little", "where all after one item a class are asked for; expected finite scores")
class DividesByTheSpread(Honest):
    def learn(self, task: TaskData, trainer: Trainer) -> None:
        super().learn(task, trainer)
        features = self.features(task.tokens)
        for index, column in enumerate(task.columns):
            self.means[column] = self.means[column] / features[task.labels == index].std(0, correction=0).mean()


@caught_by("learns-modalities-apart", "scores of image items, by a task of audio, changed by")
class MovesAllBiases(Honest):
    def learn(self, task: TaskData, trainer: Trainer) -> None:
        super().learn(task, trainer)
        for index, column in enumerate(self.biases):
            self.biases[column] = self.biases[column] + index


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


@pytest.mark.parametrize("broken", broken_in(__name__), ids=str)
def test_a_broken_method_is_caught_by_the_check_that_is_meant_to(broken: Broken) -> None:
    assert_caught(broken)
