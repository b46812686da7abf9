"""Accuracy over the tasks learned."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from remodal.comparison.collect import Finished
from remodal.comparison.figures.panels import panels
from remodal.comparison.figures.scales import BY_ERROR, Array, tick, upper_end
from remodal.comparison.looks import Look
from remodal.comparison.plan import Contestant
from remodal.report.charts import apart, seen_means

LABEL = 10.0
"""Height of a label, in points."""


class End(NamedTuple):
    """Where a method's line ends."""

    look: Look
    task: int
    accuracy: float


def accuracy_over_tasks(finished: Sequence[Finished], look: Mapping[Contestant, Look]) -> Figure:
    """Lines of means over the seeds, in a band from the lowest to the highest; names where the lines end."""
    ends: dict[Axes, dict[str, End]] = defaultdict(dict)

    def panel(axes: Axes, who: Contestant, own: Sequence[Finished]) -> None:
        curves = _curves(own)
        tasks, mean, one = np.arange(1, curves.shape[1] + 1), curves.mean(0), look[who]
        axes.fill_between(tasks, curves.min(0), curves.max(0), color=one.colour, alpha=0.06, linewidth=0)
        axes.plot(
            tasks, mean, one.line, color=one.colour, marker=one.marker, markerfacecolor=one.face,
            markevery=max(1, len(tasks) // 10), markersize=4, linewidth=1.4,
        )  # fmt: skip
        if np.isfinite(mean[-1]):
            ends[axes][who.method] = End(one, len(tasks), float(mean[-1]))

    shown = len({who.method for who in look})
    height = max(3.5, 0.5 + 1.1 * shown * LABEL / 72)
    figure = panels(finished, look, panel, across="tasks learned", up="agnostic accuracy, tasks seen", height=height)
    means = [np.asarray(line.get_ydata(), float) for axes in figure.axes for line in axes.lines]
    highest = float(np.nanmax(np.concatenate(means), initial=0.5))
    for axes in figure.axes:
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        axes.set_yscale("function", functions=BY_ERROR)
        tick(axes.yaxis)
        axes.set_ylim(0, upper_end(highest))
    figure.draw_without_rendering()  # lays the panels out, so that their heights are known
    for axes, lines in ends.items():
        _label(axes, axes.get_window_extent().height * 72 / figure.dpi, lines)
    return figure


def _label(axes: Axes, height: float, lines: Mapping[str, End]) -> None:
    """Name and final accuracy of each line, beside its end; none covers another. height: of the axes, in points."""

    def down(accuracy: float) -> float:
        place = axes.transAxes.inverted().transform(axes.transData.transform((1, accuracy)))
        return float(1 - place[1])

    places = [(name, down(end.accuracy)) for name, end in lines.items()]
    for name, place in apart(places, LABEL / height, lowest=1.0):
        one, task, accuracy = lines[name]
        axes.annotate(
            "", xy=(task, accuracy), xytext=(1.06, 1 - place), textcoords="axes fraction", annotation_clip=False,
            arrowprops={"arrowstyle": "-", "color": one.colour, "linewidth": 0.7, "shrinkA": 0},
        )  # fmt: skip
        axes.plot(
            1.06, 1 - place, marker=one.marker, color=one.colour, markerfacecolor=one.face, markersize=4.5,
            transform=axes.transAxes, clip_on=False,
        )  # fmt: skip
        label = f"{name}  {100 * accuracy:.1f}"
        axes.text(1.08, 1 - place, label, fontsize=LABEL - 2, verticalalignment="center", transform=axes.transAxes)


def _curves(own: Sequence[Finished]) -> Array:
    """Agnostic accuracy over the tasks seen, ``[seeds, tasks]``; NaN where the method can't say."""
    curves = []
    for one in own:
        modalities = [task["modality"] for task in one.results["tasks"]]
        curves.append(seen_means(one.results["accuracy"]["agnostic"], modalities))
    return np.array(curves, float)
