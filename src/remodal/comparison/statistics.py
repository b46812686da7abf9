"""What is noise: intervals of means, paired differences, and ranks over blocks.

A block is one (order, seed): all methods learn the same tasks in it, so that differences within a block are free of
what the blocks differ in. Tests and intervals come from scipy.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, TypeVar

import numpy as np
from scipy import stats

LEVEL = 0.95
EXACT = 2**17
"""Sign flips that are all tried; where there are more, as many are drawn (seed 0)."""

Key = TypeVar("Key")


class Interval(NamedTuple):
    """A mean and the half width of its interval, None where one value alone was there."""

    mean: float
    half: float | None
    number: int

    @property
    def low(self) -> float | None:
        """Lower end."""
        return None if self.half is None else self.mean - self.half

    @property
    def high(self) -> float | None:
        """Upper end."""
        return None if self.half is None else self.mean + self.half


def t_interval(values: Sequence[float], level: float = LEVEL) -> Interval:
    """Student's interval of the mean of at least one value.

    >>> mean, half, number = t_interval([1.0, 2.0, 3.0])
    >>> mean, round(half, 3), number
    (2.0, 2.484, 3)
    """
    number, mean = len(values), float(np.mean(values))
    if number < 2:
        return Interval(mean, None, number)
    quantile = stats.t.ppf((1 + level) / 2, number - 1)
    return Interval(mean, float(quantile * np.std(values, ddof=1) / np.sqrt(number)), number)


def sign_flip(differences: Sequence[float]) -> float:
    """Two-sided p value of a mean difference of 0: how often random signs give a mean as far from 0.

    Exact up to 17 differences; the smallest that n of them can give is 2 / 2^n (Fisher, "The design of experiments",
    1935).

    >>> sign_flip([0.1, 0.2, 0.3])
    0.25
    """
    values = np.asarray(differences)
    if len(values) < 2 or not values.any():
        return 1.0
    found = stats.permutation_test(
        (values,), np.mean, permutation_type="samples", vectorized=True, n_resamples=EXACT, batch=4096, rng=0
    )
    return float(found.pvalue)


def holm(values: Mapping[Key, float]) -> dict[Key, float]:
    """p values corrected for their number (Holm, "A simple sequentially rejective multiple test procedure", 1979).

    >>> holm({"a": 0.01, "b": 0.04, "c": 0.03})
    {'a': 0.03, 'b': 0.06, 'c': 0.06}
    """
    corrected: dict[Key, float] = {}
    largest = 0.0
    for rank, name in enumerate(sorted(values, key=lambda name: values[name])):
        largest = max(largest, min(1.0, (len(values) - rank) * values[name]))
        corrected[name] = largest
    return {name: corrected[name] for name in values}


class Ranks(NamedTuple):
    """Mean ranks over blocks (1 is best), Friedman's p value, and Nemenyi's critical difference of two mean ranks."""

    mean: dict[str, float]
    p: float
    critical: float
    blocks: int

    @property
    def groups(self) -> list[list[str]]:
        """Names whose mean ranks lie within the critical difference; none that is part of another."""
        names = sorted(self.mean, key=lambda name: self.mean[name])
        found: list[list[str]] = []
        for start, name in enumerate(names):
            group = [other for other in names[start:] if self.mean[other] - self.mean[name] <= self.critical]
            if len(group) > 1 and not (found and set(group) <= set(found[-1])):
                found.append(group)
        return found


def ranks(scores: Mapping[str, Sequence[float]], level: float = LEVEL) -> Ranks | None:
    """Friedman's test and Nemenyi's critical difference (Demšar, "Statistical comparisons of classifiers", JMLR 2006).

    scores: of each name, one value a block, higher is better. None for fewer than three names or two blocks: there is
    nothing to test.
    """
    matrix = np.array(list(scores.values()))  # [names, blocks]
    if len(matrix) < 3 or matrix.shape[1] < 2:
        return None
    count, blocks = matrix.shape
    mean = stats.rankdata(-matrix, axis=0).mean(1)
    p = 1.0 if np.ptp(matrix, axis=0).max() == 0 else float(stats.friedmanchisquare(*matrix).pvalue)
    quantile = stats.studentized_range.ppf(level, count, np.inf) / np.sqrt(2)
    critical = float(quantile * np.sqrt(count * (count + 1) / (6 * blocks)))
    return Ranks(dict(zip(scores, mean.tolist(), strict=True)), p, critical, blocks)
