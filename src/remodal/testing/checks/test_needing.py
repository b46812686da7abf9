"""Methods that need more to be stored than they say: broken in one way each."""

from __future__ import annotations

from unittest import SkipTest

import pytest
import torch
from torch import Tensor

from remodal.backbones import Tokens
from remodal.methods.base import TaskData
from remodal.testing import CHECKS, Candidate
from remodal.testing.checks.conftest import Broken, Honest, assert_caught, broken_in, caught_by
from remodal.training.trainer import Trainer

CHECK = "needs-what-it-says"
REFUSED = "tokens of the tower 'vision' were asked for, and frozen features alone are stored"


@caught_by(CHECK, REFUSED)
class TrainsPromptsUnsaid(Honest):
    frozen_alone = True

    def features(self, tokens: Tokens) -> Tensor:
        tower = self.backbone.towers[tokens.tower]
        return tower.features(tokens, torch.ones(tower.layers, 2, 1, tower.width))


@caught_by(CHECK, REFUSED)
class ReadsFramesUnsaid(Honest):
    frozen_alone = True

    def learn(self, task: TaskData, trainer: Trainer) -> None:
        super().learn(task, trainer)
        self.biases[task.columns[0]] = self.biases[task.columns[0]] + task.tokens.frames.float().mean()


@caught_by(CHECK, "scores of held-out items of which frozen features alone are stored changed by")
class LearnsLessWithoutFrames(Honest):
    frozen_alone = True

    def features(self, tokens: Tokens) -> Tensor:
        return super().features(tokens) * tokens.has_frames


@pytest.mark.parametrize("broken", broken_in(__name__), ids=str)
def test_a_broken_method_is_caught_by_the_check_that_is_meant_to(broken: Broken) -> None:
    assert_caught(broken)


def test_a_method_that_needs_no_tokens_may_say_so() -> None:
    class SaysSo(Honest):
        frozen_alone = True

    CHECKS[CHECK](Candidate.of(SaysSo))


def test_a_method_that_says_nothing_gets_tokens() -> None:
    with pytest.raises(SkipTest, match="Honest needs tokens, and says so"):
        CHECKS[CHECK](Candidate.of(Honest))
