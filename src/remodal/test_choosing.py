"""What is chosen to be labelled: of many doubted items, those that others are like, each time others."""

from __future__ import annotations

import torch
from torch import Tensor

from remodal.choosing import NEIGHBOURS, Pool, chosen


def crowd(direction: int, count: int, spread: float = 0.1) -> Tensor:
    """Features ``[count, 64]`` around one direction, the first in the middle."""
    draws = torch.Generator().manual_seed(direction)
    noise = spread * torch.randn(count, 64, generator=draws)
    noise[0] = 0
    return torch.eye(64)[direction] + noise


def pool(features: Tensor, doubt: float | Tensor = 1.0, known: Tensor | None = None) -> Pool:
    """Items, all as doubtful where one number is given."""
    each = doubt if isinstance(doubt, Tensor) else torch.full((len(features),), doubt)
    return Pool(features, each, features[:0] if known is None else known)


def places(*pools: Pool, count: int) -> list[tuple[int, int]]:
    """Pool and place of what is chosen."""
    return [(one.pool, one.item) for one in chosen(pools, count)]


def test_the_middle_of_each_crowd_comes_first_and_then_what_lies_alone() -> None:
    alone = torch.eye(64)[[60]]
    everything = pool(torch.cat([alone, crowd(0, 20), crowd(1, 10)]))
    assert places(everything, count=3) == [(0, 1), (0, 21), (0, 0)]
    large, small, single = (one.like for one in chosen([everything], 3))
    assert large > small > NEIGHBOURS > single == 0


def test_what_is_doubted_comes_before_what_is_not() -> None:
    doubt = torch.cat([torch.full((20,), 0.05), torch.full((10,), 0.6)])
    ((_, first),) = places(pool(torch.cat([crowd(0, 20), crowd(1, 10)]), doubt), count=1)
    assert first == 20


def test_items_like_known_ones_can_wait() -> None:
    both = torch.cat([crowd(0, 20), crowd(1, 10)])
    ((_, first),) = places(pool(both, known=crowd(0, 20)), count=1)
    assert first == 20


def test_several_towers_are_chosen_from_together() -> None:
    """Features of other towers have another width, and other distances."""
    wide = torch.cat([crowd(2, 10, spread=0.5), torch.zeros(10, 32)], dim=1)
    found = places(pool(crowd(0, 20)), pool(wide), count=2)
    assert found == [(0, 0), (1, 0)]


def test_each_is_chosen_once_and_no_more_than_there_are() -> None:
    same = torch.ones(3, 8)
    for items in (crowd(0, 7), crowd(0, 1), same, same[:0]):
        found = places(pool(items), count=20)
        assert sorted(found) == [(0, at) for at in range(len(items))]
    assert chosen([], 5) == []
