"""Small cases that were computed by hand or stand in a textbook."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remodal.comparison.statistics import holm, ranks, sign_flip, t_interval


def test_the_interval_of_five_values() -> None:
    found = t_interval([4.0, 5.0, 6.0, 7.0, 8.0])
    # deviation sqrt(2.5), t(4, .975) = 2.776445
    assert found.mean == 6.0
    assert found.half == pytest.approx(2.776445 * math.sqrt(2.5 / 5), rel=1e-6)
    assert (found.low, found.high) == (6.0 - found.half, 6.0 + found.half)


def test_one_value_has_no_interval() -> None:
    assert t_interval([0.7]) == (0.7, None, 1)


@pytest.mark.parametrize(
    ("differences", "p"),
    [
        ([1.0, 2.0, 3.0, 4.0, 5.0], 2 / 32),  # all of one sign: the two extremes of 32
        ([3.0, -1.0], 1.0),  # sums of 4, 2, -2, -4: all are as far from 0 as 2
        ([5.0, 4.0, -1.0], 4 / 8),  # 8 as far: 10, 8 and their opposites
        ([0.0, 0.0, 0.0], 1.0),
        ([0.3], 1.0),
    ],
)
def test_signs_are_flipped_in_every_way(differences: list[float], p: float) -> None:
    assert sign_flip(differences) == pytest.approx(p)


def test_many_differences_are_sampled_the_same_way_each_time() -> None:
    differences = [0.1 * (-1) ** index + 0.03 for index in range(40)]
    assert 0 < sign_flip(differences) == sign_flip(differences) < 1


def test_holm_by_hand() -> None:
    # sorted: .005 * 4, .01 * 3, .03 * 2, .04 * 1 and never less than the one before
    assert holm({"a": 0.01, "b": 0.04, "c": 0.03, "d": 0.005}) == pytest.approx(
        {"a": 0.03, "b": 0.06, "c": 0.06, "d": 0.02}
    )


@given(st.dictionaries(st.integers(), st.floats(0, 1), min_size=1))
def test_holm_never_lowers_a_value_nor_changes_the_order(values: dict[int, float]) -> None:
    found = holm(values)
    assert all(values[name] <= found[name] <= 1 for name in values)
    by_value = sorted(values, key=lambda name: values[name])
    assert [found[name] for name in by_value] == sorted(found.values())


def test_ranks_and_the_critical_difference() -> None:
    # Three names, four blocks; the tie in the last one shares ranks 1 and 2. Rank sums 4.5, 7.5, 12.
    found = ranks({"a": [0.9, 0.8, 0.9, 0.7], "b": [0.8, 0.7, 0.8, 0.7], "c": [0.1, 0.2, 0.3, 0.1]})
    assert found is not None
    assert found.mean == {"a": 1.125, "b": 1.875, "c": 3.0}
    # Demšar's table: q(.05) = 2.343 for three; sqrt(3 * 4 / (6 * 4)) = .7071
    assert found.critical == pytest.approx(2.343 * math.sqrt(0.5), abs=1e-3)
    assert found.groups == [["a", "b"], ["b", "c"]]
    # Friedman: 12 / (4 * 3 * 4) * (4.5² + 7.5² + 12²) - 3 * 4 * 4 = 7.125, over 1 - 6 / (4 * 24) for the tie: 7.6
    assert found.p == pytest.approx(math.exp(-7.6 / 2))


def test_ranks_need_something_to_rank() -> None:
    assert ranks({"a": [0.1, 0.2], "b": [0.2, 0.1]}) is None
    assert ranks({"a": [0.1], "b": [0.2], "c": [0.3]}) is None
    alike = ranks({name: [0.5, 0.5] for name in "abc"})
    assert alike is not None
    assert (alike.p, alike.groups) == (1.0, [["a", "b", "c"]])
