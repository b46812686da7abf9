"""Metrics of continual learning, from the matrix of accuracies.

``matrix[t][i]`` is the accuracy on task i (from 0) after t tasks, so row 0 is before learning and a matrix of T tasks
has T + 1 rows of T numbers; None where a method can't say. Formulas: Lopez-Paz & Ranzato, "Gradient episodic memory",
NeurIPS 2017 (BWT, FWT); Chaudhry et al., "Riemannian walk", ECCV 2018 (forgetting); Zheng et al., "Preventing
zero-shot transfer degradation", ICCV 2023 (transfer).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from statistics import NormalDist

Matrix = Sequence[Sequence[float | None]]
Begun = Sequence[int]
"""How many tasks were complete when the first items of each task came; by default all those before it."""


def mean(values: Iterable[float | None]) -> float | None:
    """Mean of the values that are there; None where there is none."""
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def last(matrix: Matrix) -> float | None:
    """Mean accuracy over all tasks after the last one.

    >>> last([[0.1, 0.2], [0.9, 0.2], [0.7, 0.8]])
    0.75
    """
    return mean(matrix[-1])


def average(matrix: Matrix) -> float | None:
    """Average incremental accuracy: after each task, the mean over the tasks seen; then the mean of these.

    >>> round(average([[0.1, 0.2], [0.9, 0.2], [0.7, 0.8]]), 3)
    0.825
    """
    return mean(mean(row[: seen + 1]) for seen, row in enumerate(matrix[1:]))


def drop(matrix: Matrix, task: int) -> float | None:
    """The best accuracy on a task since it was learned minus the final one: what was forgotten of it.

    >>> round(drop([[0.1, 0.2], [0.9, 0.2], [0.7, 0.8]], 0), 3)
    0.2
    """
    since = [row[task] for row in matrix[task + 1 :]]
    known = [value for value in since if value is not None]
    return max(known) - known[-1] if known and since[-1] is not None else None


def forgetting(matrix: Matrix) -> float | None:
    """Mean over all tasks but the last of :func:`drop`.

    >>> round(forgetting([[0.1, 0.2], [0.9, 0.2], [0.7, 0.8]]), 3)
    0.2
    """
    return mean(drop(matrix, task) for task in range(len(matrix[0]) - 1))


def backward_transfer(matrix: Matrix) -> float | None:
    """BWT: mean over all tasks but the last of the final accuracy minus the one right after learning.

    >>> round(backward_transfer([[0.1, 0.2], [0.9, 0.2], [0.7, 0.8]]), 3)
    -0.2
    """
    tasks = range(len(matrix[0]) - 1)
    return mean(_difference(matrix[-1][task], matrix[task + 1][task]) for task in tasks)


def forward_transfer(matrix: Matrix, begun: Begun | None = None) -> float | None:
    """FWT: mean over all tasks but the first of the accuracy right before learning minus the one of row 0.

    Of tasks that begin together, before any is complete, all are first ones.

    >>> round(forward_transfer([[0.1, 0.2], [0.9, 0.3], [0.7, 0.8]]), 3)
    0.1
    """
    return mean(_difference(matrix[row][task], matrix[0][task]) for task, row in _later(matrix, begun))


def zero_shot_retention(matrix: Matrix, begun: Begun | None = None) -> float | None:
    """Accuracy on tasks not yet learned, as a share of the frozen model's on the same tasks.

    Mean over tasks but the first of ``mean_{0 < t <= i} matrix[t][i]`` (MTIL's transfer), divided by the mean of
    ``matrix[0][i]`` over them. 1 keeps the frozen model's ability, more than 1 is transfer to what comes. Where items
    of a task come before the task before it is complete, rows count up to where they come.

    >>> round(zero_shot_retention([[0.1, 0.2], [0.9, 0.1], [0.7, 0.8]]), 3)
    0.5
    """
    tasks = _later(matrix, begun)
    before = mean(matrix[0][task] for task, _ in tasks)
    later = mean(mean(matrix[row][task] for row in range(1, last + 1)) for task, last in tasks)
    return later / before if before and later is not None else None


def summary(matrix: Matrix, begun: Begun | None = None) -> dict[str, float | None]:
    """The five numbers of one setting."""
    return {
        "last": last(matrix),
        "average": average(matrix),
        "forgetting": forgetting(matrix),
        "bwt": backward_transfer(matrix),
        "fwt": forward_transfer(matrix, begun),
    }


def _later(matrix: Matrix, begun: Begun | None) -> list[tuple[int, int]]:
    """The tasks that began when others were complete, and the last row before they did."""
    rows = range(len(matrix[0])) if begun is None else begun
    return [(task, row) for task, row in enumerate(rows) if row]


def _difference(a: float | None, b: float | None) -> float | None:
    return None if a is None or b is None else a - b


def interval(right: int, items: int) -> tuple[float, float]:
    """The 95 % interval of a share, ``right`` of ``items``, by Wilson; as if the items were drawn independently.

    >>> low, high = interval(4, 4)
    >>> round(low, 2), high
    (0.51, 1.0)
    """
    share, squared = right / items, NormalDist().inv_cdf(0.975) ** 2 / items
    middle = (share + squared / 2) / (1 + squared)
    half = math.sqrt(squared * (share * (1 - share) + squared / 4)) / (1 + squared)
    return max(0.0, middle - half), min(1.0, middle + half)
