"""Which candidates a method is asked for: broken in one way each."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from remodal.backbones import Tokens
from remodal.methods.base import readable
from remodal.streams.base import Column
from remodal.testing.checks.conftest import Broken, Honest, assert_caught, broken_in, caught_by


@caught_by("answers-what-is-asked", "where candidates of image alone are asked for; expected scores")
class AsksEachModalityForItsNames(Honest):
    """A modality that was learned weighs names, even where none of its classes is asked for."""

    def scores(self, tokens: Tokens, columns: Sequence[Column]) -> Tensor:
        for modality in dict.fromkeys(column.modality for column in self.means):
            self.backbone.anchors([column.name for column in columns if column.modality == modality])
        return super().scores(tokens, columns)


@caught_by("answers-what-is-asked", "where classes not learned are asked for; expected scores")
class NeedsAClassThatItLearned(Honest):
    def scores(self, tokens: Tokens, columns: Sequence[Column]) -> Tensor:
        if not set(columns) & set(self.means):
            raise KeyError(columns[0])
        return super().scores(tokens, columns)


@caught_by(
    "answers-what-is-asked", "scores of shape (16,) where candidates of video alone are asked for; expected (16, 1)"
)
class SqueezesASingleClass(Honest):
    def scores(self, tokens: Tokens, columns: Sequence[Column]) -> Tensor:
        return super().scores(tokens, columns).squeeze(1)


@caught_by(
    "answers-what-is-asked", "found [nan] for image 'cat' on tokens of 'vision' where no candidates but image 'cat'"
)
class NeedsTwoCandidates(Honest):
    """As if it divided by the spread of the candidates' scores."""

    def scores(self, tokens: Tokens, columns: Sequence[Column]) -> Tensor:
        scores = super().scores(tokens, columns)
        return scores if len(columns) > 1 else torch.full_like(scores, torch.nan)


@caught_by("answers-what-is-asked", "for video 'cat' on tokens of 'vision'")
class SaysTooLittleOfAnotherModality(Honest):
    """A modality that was not learned: -inf is for those that another tower reads."""

    def scores(self, tokens: Tokens, columns: Sequence[Column]) -> Tensor:
        known = {column.modality for column in self.means}
        new = torch.tensor([column.modality not in known for column in columns])
        return super().scores(tokens, columns).masked_fill(new, -torch.inf)


@caught_by("agrees-with-itself", "farther apart where learned classes are asked for; expected at most 0.0001")
class ScalesByTheCandidates(Honest):
    def scores(self, tokens: Tokens, columns: Sequence[Column]) -> Tensor:
        return super().scores(tokens, columns) / len(columns)


@caught_by("agrees-with-itself", "farther apart")
class AnswersWithProbabilities(Honest):
    """Their ratios stay, and not their differences: it should answer with logarithms."""

    def scores(self, tokens: Tokens, columns: Sequence[Column]) -> Tensor:
        scores = super().scores(tokens, columns)
        shares = scores.nan_to_num(nan=-torch.inf).softmax(1)
        return shares.where(scores.isfinite(), scores)


@caught_by("agrees-with-itself", "inf farther apart")
class KnowsAClassInCompanyAlone(Honest):
    """A class not learned is scored like the others, and can't be without them."""

    def scores(self, tokens: Tokens, columns: Sequence[Column]) -> Tensor:
        scores = super().scores(tokens, columns)
        if set(columns) & set(self.means):
            scores = scores.nan_to_num(nan=-1.0, neginf=-torch.inf)
        return scores.masked_fill(~readable(tokens, columns, self.backbone), -torch.inf)


@caught_by("agrees-with-itself", "where the same is asked again; expected equal bits")
class TiresOfQuestions(Honest):
    asked = 0

    def scores(self, tokens: Tokens, columns: Sequence[Column]) -> Tensor:
        self.asked += 1
        return super().scores(tokens, columns) - 0.01 * self.asked


@pytest.mark.parametrize("broken", broken_in(__name__), ids=str)
def test_a_broken_method_is_caught_by_the_check_that_is_meant_to(broken: Broken) -> None:
    assert_caught(broken)
