"""Near names: new classes are compared with all, known ones not again, and a class takes from the nearest alone."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from remodal.adaptation import near
from remodal.adaptation.near import NearNames, mixed


def anchors(count: int) -> Tensor:
    return functional.normalize(torch.randn(count, 12, generator=torch.Generator().manual_seed(count)), dim=1)


def test_a_class_takes_from_the_classes_of_the_nearest_names_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """From all of them where there are few enough."""
    names = anchors(10)
    nearness = 0.5 * (names @ names.T).fill_diagonal_(0) + torch.eye(10)
    torch.testing.assert_close(NearNames.empty().grown(names).mixing(torch.ones(10), 0.5, 0.0), nearness)
    monkeypatch.setattr(near, "NEAR", 3)
    few = NearNames.empty().grown(names).mixing(torch.ones(10), 0.5, 0.0)
    assert (few != 0).sum(1).tolist() == [4] * 10
    lowest = few.where(few != 0, torch.inf).amin(1)
    torch.testing.assert_close(few, nearness.where(nearness >= lowest[:, None] - 1e-6, 0.0))


def test_a_small_class_gives_more() -> None:
    found = NearNames.empty().grown(anchors(3)).mixing(torch.tensor([1.0, 16.0, 16.0]), 0.0, 0.5)
    assert torch.equal(found, torch.diag(found.diagonal()))
    assert float(found[0, 0] / found[1, 1]) == pytest.approx(4)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 12), min_size=1, max_size=6))
def test_classes_that_come_one_after_the_other_have_the_same_neighbours(sizes: list[int]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(near, "NEAR", 5)
        names = anchors(sum(sizes) + 1)
        grown, count = NearNames.empty(), 1
        for size in sizes:
            count += size
            grown = grown.grown(names[:count])
            grown.check(count)
        whole = NearNames.empty().grown(names)
        assert grown.places[grown.cosines > near.ABSENT].equal(whole.places[whole.cosines > near.ABSENT])
        torch.testing.assert_close(grown.cosines, whole.cosines)


def test_a_new_class_is_compared_with_all_and_no_known_one_again(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[int] = []
    multiply = Tensor.__matmul__

    def counted(a: Tensor, b: Tensor) -> Tensor:
        compared.append(len(a) * b.shape[1])
        return multiply(a, b)

    names = anchors(1_000)
    known = NearNames.empty().grown(names[:990])
    monkeypatch.setattr(Tensor, "__matmul__", counted)
    grown = known.grown(names)
    assert sum(compared) == 990 * 10 + 10 * 1_000
    assert grown.grown(names) is grown


def test_many_classes_are_mixed_sparsely_with_the_same_result(monkeypatch: pytest.MonkeyPatch) -> None:
    known = NearNames.empty().grown(anchors(20))
    whole = known.mixing(torch.arange(1.0, 21), 0.5, 0.3)
    monkeypatch.setattr(near, "DENSE", 10)
    sparse = known.mixing(torch.arange(1.0, 21), 0.5, 0.3)
    assert sparse.is_sparse
    assert torch.equal(sparse.to_dense(), whole)


@pytest.mark.parametrize(
    ("places", "cosines"),
    [
        (torch.full((2, near.NEAR), 2), torch.zeros(2, near.NEAR)),  # a class that isn't there
        (torch.full((2, near.NEAR), -1), torch.zeros(2, near.NEAR)),
        (torch.zeros(2, near.NEAR), torch.zeros(3, near.NEAR)),
        (torch.zeros(2, 3), torch.zeros(2, 3)),
        (torch.zeros(4, near.NEAR), torch.zeros(4, near.NEAR)),  # more classes than there are
    ],
)
def test_what_does_not_fit_the_classes_is_refused(places: Tensor, cosines: Tensor) -> None:
    with pytest.raises(ValueError, match="that don't fit"):
        NearNames(places, cosines).check(3)


@pytest.mark.parametrize("shape", [(3, 7), (2, 600, 7)])
def test_classes_that_are_many_share_as_few_do(shape: tuple[int, ...]) -> None:
    draws = torch.Generator().manual_seed(0)
    mixing, outputs = torch.randn(7, 7, generator=draws).relu(), torch.randn(shape, generator=draws)
    torch.testing.assert_close(mixed(outputs.clone(), mixing.to_sparse()), mixed(outputs, mixing))
