"""Statistics of several learners, added up by hand."""

from __future__ import annotations

import torch

from remodal.adaptation.discriminant import Discriminant
from remodal.adaptation.gaussians import ClassGaussians
from remodal.adaptation.summed import directions, scatter, summed, terms_of
from remodal.streams.base import Column

CAT, DOG, OAK = (Column("image", name) for name in ("cat", "dog", "oak"))


def test_what_both_hold_is_counted_once() -> None:
    learners = [(1.0, torch.tensor([3.0, 1.0]), [CAT, DOG]), (1.0, torch.tensor([2.0, 5.0]), [CAT, OAK])]
    columns, terms = terms_of([*learners, (-1.0, torch.tensor([2.0]), [CAT])])
    assert columns == [CAT, DOG, OAK]
    assert summed(terms, 3).tolist() == [3.0, 1.0, 5.0]


def test_directions_of_rows_that_are_taken_away_are_gone() -> None:
    """diag(9, 4) - diag(0, 4) = diag(9, 0)."""
    both, one = torch.tensor([[3.0, 0.0], [0.0, 2.0]]), torch.tensor([[0.0, 2.0]])
    values, vectors = directions([(1.0, both), (-1.0, one)])
    torch.testing.assert_close(values, torch.tensor([9.0], dtype=torch.float64))
    torch.testing.assert_close(vectors.abs(), torch.tensor([[1.0, 0.0]], dtype=torch.float64))
    torch.testing.assert_close(scatter([(1.0, both)], rank=1).abs(), torch.tensor([[3.0, 0.0]]))


def test_a_class_of_two_learners_spreads_about_the_mean_of_all_its_items() -> None:
    """Items at 0 and 2, and at 4 and 6: mean 3, variance 5, though each learner saw a variance of 1."""
    labels = torch.zeros(2, dtype=torch.int64)
    seen = [
        ClassGaussians.empty(1, 1).with_items(torch.tensor(items)[:, None], labels, [CAT])
        for items in ([0.0, 2.0], [4.0, 6.0])
    ]
    together = ClassGaussians.added_up([(1.0, one) for one in seen])
    assert (together.counts.item(), together.means.item()) == (4.0, 3.0)
    torch.testing.assert_close(together.factors.square().sum(), torch.tensor(5.0))


def test_a_scatter_that_classes_share_takes_in_how_far_the_learners_means_lie_apart() -> None:
    """The same items; a scatter of 4 * 5 = 20 about the mean 3."""
    labels = torch.zeros(2, dtype=torch.int64)
    seen = [
        Discriminant.empty(1).with_items(torch.tensor(items)[:, None], labels, [CAT], rank=4)
        for items in ([0.0, 2.0], [4.0, 6.0])
    ]
    together = Discriminant.added_up([(1.0, one) for one in seen], rank=4)
    torch.testing.assert_close(together.factor.square().sum(), torch.tensor(20.0))
    torch.testing.assert_close(together.means, torch.tensor([[3.0]]))
