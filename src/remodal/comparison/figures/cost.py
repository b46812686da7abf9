"""Accuracy against what it costs, in time and in memory."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from remodal.comparison.collect import Finished
from remodal.comparison.figures.panels import add_legend, panels, points
from remodal.comparison.figures.scales import BY_ERROR, ends_of, tick
from remodal.comparison.looks import Look
from remodal.comparison.plan import Contestant


def against_seconds(finished: Sequence[Finished], look: Mapping[Contestant, Look]) -> Figure:
    """What accuracy costs in time."""
    return _against_cost(finished, look, "seconds", "seconds of learning, all tasks", _plain_seconds)


def against_bytes(finished: Sequence[Finished], look: Mapping[Contestant, Look]) -> Figure:
    """What accuracy costs in memory that is kept."""
    return _against_cost(finished, look, "stored_bytes", "bytes that the method stores", _plain_bytes)


def _against_cost(
    finished: Sequence[Finished], look: Mapping[Contestant, Look], cost: str, label: str, plain: Callable[[float], str]
) -> Figure:
    def panel(axes: Axes, who: Contestant, own: Sequence[Finished]) -> None:
        points(axes, look[who], own, cost, "agnostic_last")

    figure = panels(finished, look, panel, across=label, up="agnostic accuracy at the end", sharex=True)
    add_legend(figure, look)
    spent = [value for one in finished if (value := one.measures[cost]) is not None]
    lowest, highest = (math.floor(math.log10(end)) for end in _positive_ends(spent))
    steps = (1, 2, 5) if highest - lowest < 2 else (1,)
    ticks = [step * 10.0**power for power in range(lowest, highest + 2) for step in steps]
    ends = ends_of(finished, "agnostic_last")
    for axes in figure.axes:
        if min(spent) > 0:
            axes.set_xscale("log")
        else:  # nothing at all has a place too
            axes.set_xscale("symlog", linthresh=10.0**lowest, linscale=0.5)
            axes.set_xlim(left=-0.2 * 10.0**lowest)
        axes.xaxis.set_major_locator(FixedLocator([0, *ticks]))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: plain(value)))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_yscale("function", functions=BY_ERROR)
        tick(axes.yaxis)
        axes.set_ylim(ends)
    return figure


def _positive_ends(values: Sequence[float]) -> tuple[float, float]:
    """The least and the largest that are more than nothing."""
    positive = [value for value in values if value > 0] or [1.0]
    return min(positive), max(positive)


def _plain_seconds(value: float) -> str:
    return f"{value:g} s" if value < 1000 else f"{value:,.0f} s"


def _plain_bytes(value: float) -> str:
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("KB", 1e3)):
        if value >= size:
            return f"{value / size:g} {unit}"
    return f"{value:g} B"
