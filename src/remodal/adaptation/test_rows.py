"""Numbers of a task's items: by minibatch or in chunks, computed once where they are few."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from remodal.adaptation.drift import Drift
from remodal.adaptation.gaussians import ClassGaussians
from remodal.adaptation.rows import Rows, added, in_chunks, mean
from remodal.adaptation.statistics import ClassStatistics
from remodal.backbones import CHUNK, Tokens
from remodal.streams.base import Column

WIDTH = 6


def rows(items: int, asked: list[int] | None = None) -> tuple[Rows, Tensor]:
    """Rows of so many items, which write down how many were computed at a time; and all of them, as a tensor."""
    draws = torch.Generator().manual_seed(items)
    frames = torch.randn(items, 1, WIDTH, generator=draws).half()

    def compute(tokens: Tokens) -> Tensor:
        if asked is not None:
            asked.append(len(tokens))
        return tokens.frames[:, 0].float()

    tokens = Tokens("vision", frames, torch.ones(items, dtype=torch.int64))
    return Rows(tokens, compute), frames[:, 0].float()


@pytest.mark.parametrize(("items", "computed"), [(CHUNK, [CHUNK]), (CHUNK + 2, [2, 257, 257])])
def test_few_items_are_computed_once_and_many_as_they_are_needed(items: int, computed: list[int]) -> None:
    asked: list[int] = []
    made, whole = rows(items, asked)
    batch = torch.tensor([3, 1])
    assert torch.equal(made[batch], whole[batch])
    for at, own in in_chunks(made):
        assert torch.equal(own, whole[at])
    assert asked == computed
    torch.testing.assert_close(mean(made), whole.mean(0), atol=1e-6, rtol=1e-4)


def test_statistics_of_many_items_are_those_of_all_at_once() -> None:
    made, whole = rows(3 * CHUNK)
    labels = torch.arange(len(whole)) % 3
    statistics = ClassStatistics.empty(WIDTH, rank=WIDTH).added(made, labels, ["a", "b", "c"])
    centres = torch.stack([whole[labels == label].mean(0) for label in range(3)])
    torch.testing.assert_close(statistics.means, centres)
    centred = whole - centres[labels]
    expected = centred.T @ centred / (len(whole) - 3)
    torch.testing.assert_close(statistics.factor.T @ statistics.factor, expected, atol=1e-3, rtol=1e-3)


def test_a_gaussian_of_many_items_is_that_of_all_at_once() -> None:
    made, whole = rows(3 * CHUNK)
    column = Column("image", "cat")
    found = ClassGaussians.empty(WIDTH, WIDTH).with_items(made, torch.zeros(len(whole), dtype=torch.int64), [column])
    torch.testing.assert_close(found.means[0], whole.mean(0), atol=1e-5, rtol=1e-4)
    covariance = torch.cov(whole.T, correction=0)
    torch.testing.assert_close(found.factors[0].T @ found.factors[0], covariance, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("of", [lambda made, whole: made, lambda made, whole: whole], ids=["rows", "a tensor"])
def test_drift_is_the_same_however_items_come(of: Callable[[Rows, Tensor], Rows | Tensor]) -> None:
    before, whole = rows(2 * CHUNK)
    means = torch.randn(4, WIDTH, generator=torch.Generator().manual_seed(0))
    moved = Rows(before.tokens, lambda tokens: before.compute(tokens) + 1)
    found = Drift.measured(of(before, whole), of(moved, whole + 1)).points(means)
    torch.testing.assert_close(found, means + 1)


def test_sums_by_class_by_hand() -> None:
    before = torch.tensor([[1.0, 1.0]])
    found = added(before, torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]), torch.tensor([2, 0, 2]), 3)
    assert found.tolist() == [[4.0, 5.0], [0.0, 0.0], [6.0, 8.0]]
    assert before.tolist() == [[1.0, 1.0]]
