"""Axes of accuracies, by themselves or by their error, and of what these cost."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axis import Axis
from matplotlib.ticker import FixedLocator, NullLocator, PercentFormatter
from numpy.typing import NDArray

from remodal.comparison.collect import Finished

PER_CENT = PercentFormatter(1.0, decimals=0)
TICKS = (0, 0.2, 0.4, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 0.98, 0.99)
LEAST_ERROR = 0.002
"""What is drawn of an error that is smaller, or none at all."""

Array = NDArray[np.float64]


def _log_error(accuracy: Array) -> Array:
    return -np.log(np.maximum(1 - accuracy, LEAST_ERROR))


def _accuracy(log_error: Array) -> Array:
    return 1 - np.exp(-log_error)


BY_ERROR = _log_error, _accuracy
"""A scale for accuracies on which 90 % and 95 % are as far apart as 80 % and 90 %, and its inverse."""


def tick(axis: Axis) -> None:
    """Ticks of an axis of accuracies by their error."""
    axis.set_major_locator(FixedLocator(TICKS))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(PER_CENT)


def upper_end(highest: float) -> float:
    """Of an axis of accuracies up to ``highest``, with some room by their error."""
    return 1 - max(LEAST_ERROR, 0.8 * (1 - highest))


def ends_of(finished: Sequence[Finished], *measures: str) -> tuple[float, float]:
    """Ends of an axis of accuracies on which all of ``measures`` have a place, with some room."""
    known = [value for one in finished for name in measures if (value := one.measures[name]) is not None] or [0.5]
    return max(0.0, min(known) - 0.05), upper_end(max(known))
