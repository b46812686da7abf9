"""Accuracy over the tasks learned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from remodal.comparison.collect import Finished
from remodal.comparison.figures.panels import panels
from remodal.comparison.figures.scales import PER_CENT, Array
from remodal.comparison.looks import Look
from remodal.comparison.plan import Contestant
from remodal.report.charts import seen_means


def accuracy_over_tasks(finished: Sequence[Finished], look: Mapping[Contestant, Look]) -> Figure:
    """Lines of means over the seeds, in a band from the lowest to the highest."""

    def panel(axes: Axes, who: Contestant, own: Sequence[Finished]) -> None:
        curves = _curves(own)
        tasks = np.arange(1, curves.shape[1] + 1)
        one = look[who]
        axes.fill_between(tasks, curves.min(0), curves.max(0), color=one.colour, alpha=0.1, linewidth=0)
        every = max(1, len(tasks) // 10)
        axes.plot(
            tasks, curves.mean(0), one.line, color=one.colour, marker=one.marker, markerfacecolor=one.face,
            markevery=every, markersize=5, linewidth=1.6,
        )  # fmt: skip

    figure = panels(finished, look, panel, across="tasks learned", up="agnostic accuracy, tasks seen")
    for axes in figure.axes:
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        axes.yaxis.set_major_formatter(PER_CENT)
        axes.set_ylim(0, 1)
    return figure


def _curves(own: Sequence[Finished]) -> Array:
    """Agnostic accuracy over the tasks seen, ``[seeds, tasks]``; NaN where the method can't say."""
    curves = []
    for one in own:
        modalities = [task["modality"] for task in one.results["tasks"]]
        curves.append(seen_means(one.results["accuracy"]["agnostic"], modalities))
    return np.array(curves, float)
