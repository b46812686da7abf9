"""Metrics on matrices that can be worked out by hand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remodal.learning import metrics

MATRIX = [[0.2, 0.1, 0.3], [0.9, 0.2, 0.2], [0.8, 0.7, 0.4], [0.6, 0.8, 0.5]]
"""Three tasks; row t is after t tasks."""


def test_last_is_the_mean_of_the_last_row() -> None:
    assert metrics.last(MATRIX) == pytest.approx((0.6 + 0.8 + 0.5) / 3)


def test_average_counts_seen_tasks_only() -> None:
    assert metrics.average(MATRIX) == pytest.approx((0.9 + (0.8 + 0.7) / 2 + (0.6 + 0.8 + 0.5) / 3) / 3)


def test_forgetting_is_from_the_best_since_learning() -> None:
    """Task 1 fell from .9 to .6, task 2 rose to its best at the end; the last task has had no time to be forgotten."""
    assert metrics.forgetting(MATRIX) == pytest.approx((0.3 + 0.0) / 2)


def test_backward_transfer_is_from_right_after_learning() -> None:
    assert metrics.backward_transfer(MATRIX) == pytest.approx((-0.3 + 0.1) / 2)


def test_forward_transfer_is_from_before_learning_anything() -> None:
    assert metrics.forward_transfer(MATRIX) == pytest.approx(((0.2 - 0.1) + (0.4 - 0.3)) / 2)


def test_retention_is_relative_to_the_frozen_model() -> None:
    later = (0.2 + (0.2 + 0.4) / 2) / 2
    assert metrics.zero_shot_retention(MATRIX) == pytest.approx(later / ((0.1 + 0.3) / 2))


def test_tasks_that_begin_together_count_up_to_their_first_items() -> None:
    """The second task begins beside the first one, and the third when the first one is complete."""
    begun = [0, 0, 1]
    assert metrics.forward_transfer(MATRIX, begun) == pytest.approx(0.2 - 0.3)
    assert metrics.zero_shot_retention(MATRIX, begun) == pytest.approx(0.2 / 0.3)
    assert metrics.summary(MATRIX, begun) == {**metrics.summary(MATRIX), "fwt": pytest.approx(0.2 - 0.3)}
    assert metrics.summary(MATRIX, [0, 1, 2]) == metrics.summary(MATRIX)


def test_what_a_method_cannot_say_is_left_out() -> None:
    unsaid = [[None, None], [0.9, None], [0.7, 0.8]]
    assert metrics.forward_transfer(unsaid) is None
    assert metrics.zero_shot_retention(unsaid) is None
    assert metrics.average(unsaid) == pytest.approx((0.9 + 0.75) / 2)


def test_one_task_forgets_nothing_and_says_so() -> None:
    assert metrics.summary([[0.1], [0.9]]) == {
        "last": 0.9,
        "average": 0.9,
        "forgetting": None,
        "bwt": None,
        "fwt": None,
    }


@given(st.lists(st.lists(st.floats(0, 1), min_size=4, max_size=4), min_size=5, max_size=5))
def test_metrics_do_not_change_the_matrix_and_stay_in_range(matrix: list[list[float]]) -> None:
    before = [list(row) for row in matrix]
    found = metrics.summary(matrix)
    assert matrix == before
    assert 0 <= (found["forgetting"] or 0) <= 1
    assert (found["bwt"] or 0) >= -(found["forgetting"] or 0) - 1e-9
