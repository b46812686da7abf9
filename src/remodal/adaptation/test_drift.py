"""Drift: how the features of items that are gone moved, told from a task's own."""

from __future__ import annotations

import torch
from torch import Tensor

from remodal.adaptation.drift import Drift
from remodal.adaptation.statistics import ClassStatistics
from remodal.training.seeding import generator, normal

WIDTH = 6


def features(count: int, seed: int) -> Tensor:
    return normal(count, WIDTH, draws=generator(seed, "features"))


def test_what_moved_by_an_affine_map_is_where_the_map_says() -> None:
    """With more items than directions the map itself is found, and holds for items that were not there."""
    before, others = features(50, seed=0), features(5, seed=1)
    turned = torch.eye(WIDTH) + 0.3 * normal(WIDTH, WIDTH, draws=generator(2, "map"))
    drift = Drift.measured(before, before @ turned + 4)
    torch.testing.assert_close(drift.points(others), others @ turned + 4, atol=0.02, rtol=0.02)
    torch.testing.assert_close(drift.directions(others), others @ turned, atol=0.02, rtol=0.02)


def test_items_near_each_other_move_together() -> None:
    """Items around the first mean move right, those around the second stay."""
    before = torch.tensor([[0.0, 0.0], [0.1, 0.0], [100.0, 0.0], [100.1, 0.0]])
    after = before + torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 0.0], [0.0, 0.0]])
    moved = Drift.measured(before, after).points(torch.tensor([[0.0, 0.0], [100.0, 0.0]]))
    torch.testing.assert_close(moved, torch.tensor([[1.0, 0.0], [100.0, 0.0]]), atol=0.01, rtol=1e-3)


def test_nothing_moves_where_nothing_moved() -> None:
    items, others = features(8, seed=0), features(3, seed=1)
    drift = Drift.measured(items, items)
    assert torch.equal(drift.points(others), others)
    assert torch.equal(drift.directions(others), others)


def test_a_shift_that_items_do_not_tell_is_taken_as_their_mean() -> None:
    """Shifts of chance: the least penalty would carry the noise to others, and leaving items out says so."""
    before, noise = features(12, seed=0), features(12, seed=3)
    others = 3 * features(40, seed=1)
    moved = Drift.measured(before, before + noise).points(others) - others
    assert (moved - noise.mean(0)).norm() < 0.7 * (others - others.mean(0)).norm()


def test_one_item_moves_all_alike() -> None:
    moved = Drift.measured(torch.zeros(1, WIDTH), torch.ones(1, WIDTH)).points(features(2, seed=0))
    torch.testing.assert_close(moved, features(2, seed=0) + 1)


def test_statistics_are_where_they_would_be_found_again() -> None:
    """Means and covariance of items that a known map has moved."""
    items, labels = features(40, seed=0), torch.arange(40) % 2
    turned = torch.eye(WIDTH) + 0.3 * normal(WIDTH, WIDTH, draws=generator(2, "map"))
    stored, again = (ClassStatistics.empty(WIDTH, WIDTH).added(x, labels, ["a", "b"]) for x in (items, items @ turned))
    probe = features(60, seed=5)
    carried = stored.moved(Drift.measured(probe, probe @ turned))
    torch.testing.assert_close(carried.means, again.means, atol=0.02, rtol=0.02)
    torch.testing.assert_close(carried.factor.T @ carried.factor, again.factor.T @ again.factor, atol=0.1, rtol=0.05)
