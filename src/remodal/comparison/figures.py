"""The figures, each one a function from finished cells to a matplotlib figure."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator, PercentFormatter
from numpy.typing import NDArray

from remodal.comparison.collect import Finished
from remodal.comparison.looks import Look, looks
from remodal.comparison.plan import Contestant
from remodal.comparison.rank_diagram import WIDTH, critical_differences
from remodal.comparison.statistics import ranks
from remodal.comparison.tables import blocks
from remodal.files import replacing
from remodal.report.charts import seen_means

STYLE: Any = {
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e3e6ea",
    "axes.edgecolor": "#5f6873",
    "legend.frameon": False,
    "svg.fonttype": "path",  # so that it looks the same everywhere
    "svg.hashsalt": "remodal",  # so that the same figures give the same file
}
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


class Drawn(NamedTuple):
    """A figure of a table. name: of its file; how: what one needs to know to read it."""

    name: str
    title: str
    how: str
    figure: Figure


def draw(finished: Sequence[Finished], contestants: Sequence[Contestant]) -> list[Drawn]:
    """All figures that the finished cells allow for.

    contestants: of the whole table, so that a look doesn't change with what is finished.
    """
    present = {one.cell.contestant for one in finished}
    look = {who: one for who, one in looks(contestants).items() if who in present}
    found: list[Drawn] = []
    with mpl.rc_context(STYLE):
        for name, title, how, make in _KINDS:
            found.append(Drawn(name, title, how, make(finished, look)))
        for kind in dict.fromkeys(who.features for who in look):
            own = [one for one in finished if one.cell.features == kind]
            ranked = ranks(blocks(own, "agnostic_last"))
            if ranked is None:
                continue
            p = "p < .001" if ranked.p < 0.001 else f"p = {ranked.p:.3f}"
            how = (
                f"Mean rank of the final agnostic accuracy over {ranked.blocks} blocks (order, seed); 1 is best. A bar "
                "joins those whose mean ranks differ by less than Nemenyi's critical difference (CD) at 95 %. "
                f"Friedman's test that all are alike: {p}."
            )
            title = f"Critical differences, {kind} features"
            found.append(Drawn(f"ranks-{kind}", title, how, critical_differences(ranked)))
    return found


def save(figure: Figure, path: Path) -> None:
    """Write a figure as SVG; the same figure gives the same file."""
    with replacing(path) as part, mpl.rc_context(STYLE):
        figure.savefig(part, format="svg", metadata={"Date": None})


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

    figure = _panels(finished, look, panel, across="tasks learned", up="agnostic accuracy, tasks seen")
    for axes in figure.axes:
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        axes.yaxis.set_major_formatter(PER_CENT)
        axes.set_ylim(0, 1)
    return figure


def aware_against_agnostic(finished: Sequence[Finished], look: Mapping[Contestant, Look]) -> Figure:
    """A point a seed; what not knowing the modality costs is the distance from the diagonal."""

    def panel(axes: Axes, who: Contestant, own: Sequence[Finished]) -> None:
        _points(axes, look[who], own, "aware_last", "agnostic_last")

    figure = _panels(
        finished, look, panel, across="aware: the modality is given", up="agnostic: it is not", sharex=True
    )
    ends = _ends(finished, "aware_last", "agnostic_last")
    for axes in figure.axes:
        axes.set_xscale("function", functions=BY_ERROR)
        axes.set_yscale("function", functions=BY_ERROR)
        _tick(axes.xaxis)
        _tick(axes.yaxis)
        axes.set(xlim=ends, ylim=ends)
        diagonal = np.linspace(*ends)
        axes.plot(diagonal, diagonal, color="#5f6873", linewidth=1, zorder=1)
    return figure


def forgetting(finished: Sequence[Finished], look: Mapping[Contestant, Look]) -> Figure:
    """Bars of means with a point a seed, the least first."""
    orders = _orders(finished)
    figure = Figure(figsize=(WIDTH, 1.0 + 0.3 * len(look)), layout="constrained")
    for axes, order in zip(figure.subplots(1, len(orders), squeeze=False, sharex=True)[0], orders):
        known = {who: _known(finished, order, who, "forgetting") for who in look}
        shown = sorted((who for who in look if known[who]), key=lambda who: np.mean(known[who]))
        for place, who in enumerate(shown):
            one, values = look[who], 100 * np.array(known[who])
            axes.barh(
                place, values.mean(), 0.66, facecolor="white" if one.hollow else one.colour, edgecolor=one.colour,
                linewidth=1.4, linestyle=one.line,
            )  # fmt: skip
            spread = np.linspace(-0.18, 0.18, len(values)) if len(values) > 1 else np.zeros(1)
            axes.plot(
                values, place + spread, linestyle="none", marker="o", markersize=4, color="white",
                markeredgecolor="black", markeredgewidth=0.8,
            )  # fmt: skip
        axes.set_yticks(range(len(shown)), [str(who) for who in shown])
        axes.set_ylim(len(shown) - 0.5, -0.5)
        axes.axvline(0, color="#5f6873", linewidth=0.8)
        axes.grid(visible=False, axis="y")
        axes.set_title(f"order: {order}", fontsize=10)
        axes.set(xlabel="forgetting, percentage points")
    return figure


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
        _points(axes, look[who], own, cost, "agnostic_last")

    figure = _panels(finished, look, panel, across=label, up="agnostic accuracy at the end", sharex=True)
    spent = [value for one in finished if (value := one.measures[cost]) is not None]
    lowest, highest = (math.floor(math.log10(end)) for end in _positive_ends(spent))
    steps = (1, 2, 5) if highest - lowest < 2 else (1,)
    ticks = [step * 10.0**power for power in range(lowest, highest + 2) for step in steps]
    ends = _ends(finished, "agnostic_last")
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
        _tick(axes.yaxis)
        axes.set_ylim(ends)
    return figure


def _panels(
    finished: Sequence[Finished],
    look: Mapping[Contestant, Look],
    panel: Callable[[Axes, Contestant, Sequence[Finished]], None],
    *,
    across: str,
    up: str,
    sharex: bool = False,
) -> Figure:
    """A panel an order and kind of features, and one legend beside them all. across, up: what is drawn."""
    orders, kinds = _orders(finished), list(dict.fromkeys(who.features for who in look))
    methods = {who.method: one for who, one in look.items()}
    rows, columns = (len(kinds), len(orders)) if len(orders) > 1 else (1, len(kinds))
    height = max(1.0 + 3.5 * rows, 0.8 + 0.23 * len(methods))
    figure = Figure(figsize=(WIDTH, height), layout=ConstrainedLayoutEngine(h_pad=0.1))
    grid = figure.subplots(rows, columns, squeeze=False, sharex=sharex, sharey=True)
    for axes, (kind, order) in zip(grid.flat, product(kinds, orders)):
        for who in look:
            own = [one for one in finished if one.cell.order == order and one.cell.contestant == who]
            if own and who.features == kind:
                panel(axes, who, own)
        axes.set_title(f"order: {order}, features: {kind}", fontsize=10)
        axes.tick_params(labelbottom=True)
    for axes in grid[-1]:
        axes.set_xlabel(across)
    for axes in grid[:, 0]:
        axes.set_ylabel(up)
    handles = [
        Line2D([], [], color=one.colour, marker=one.marker, markersize=6, label=method)
        for method, one in methods.items()
    ]
    figure.legend(handles=handles, loc="outside right center")
    return figure


def _tick(axis: Axis) -> None:
    """Ticks of an axis of accuracies by their error."""
    axis.set_major_locator(FixedLocator(TICKS))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(PER_CENT)


def _points(axes: Axes, look: Look, own: Sequence[Finished], across: str, up: str) -> None:
    """A faint point a seed, and their mean."""
    pairs = [(one.measures[across], one.measures[up]) for one in own]
    known = np.array([pair for pair in pairs if None not in pair], float).reshape(-1, 2)
    if not len(known):
        return
    style: dict[str, Any] = {
        "linestyle": "none", "marker": look.marker, "color": look.colour, "markerfacecolor": look.face,
    }  # fmt: skip
    axes.plot(*known.T, **style, markersize=4.5, alpha=0.35)
    axes.plot(*known.mean(0)[:, None], **style, markersize=8, markeredgewidth=1.5)


def _curves(own: Sequence[Finished]) -> Array:
    """Agnostic accuracy over the tasks seen, ``[seeds, tasks]``; NaN where the method can't say."""
    curves = []
    for one in own:
        modalities = [task["modality"] for task in one.results["tasks"]]
        curves.append(seen_means(one.results["accuracy"]["agnostic"], modalities))
    return np.array(curves, float)


def _ends(finished: Sequence[Finished], *measures: str) -> tuple[float, float]:
    """Ends of an axis of accuracies on which all of ``measures`` have a place, with some room."""
    known = [value for one in finished for name in measures if (value := one.measures[name]) is not None] or [0.5]
    return max(0.0, min(known) - 0.05), 1 - max(LEAST_ERROR, 0.8 * (1 - max(known)))


def _positive_ends(values: Sequence[float]) -> tuple[float, float]:
    """The least and the largest that are more than nothing."""
    positive = [value for value in values if value > 0] or [1.0]
    return min(positive), max(positive)


def _known(finished: Sequence[Finished], order: str, who: Contestant, measure: str) -> list[float]:
    own = [one for one in finished if one.cell.order == order and one.cell.contestant == who]
    return [value for one in own if (value := one.measures[measure]) is not None]


def _orders(finished: Sequence[Finished]) -> list[str]:
    return list(dict.fromkeys(one.cell.order for one in finished))


def _plain_seconds(value: float) -> str:
    return f"{value:g} s" if value < 1000 else f"{value:,.0f} s"


def _plain_bytes(value: float) -> str:
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("KB", 1e3)):
        if value >= size:
            return f"{value / size:g} {unit}"
    return f"{value:g} B"


_KINDS = (
    (
        "accuracy",
        "Accuracy over tasks",
        "After each task the mean accuracy over all tasks seen, the modality not given. Lines: mean over the seeds; "
        "bands: from the lowest seed to the highest.",
        accuracy_over_tasks,
    ),
    (
        "gap",
        "Aware against agnostic",
        "Accuracy after the last task, mean over the tasks. Small points: seeds; large ones: their mean. On the "
        "diagonal nothing is lost by not knowing the modality. Both axes go by the logarithm of the error.",
        aware_against_agnostic,
    ),
    (
        "forgetting",
        "Forgetting",
        "Best accuracy on a task since it was learned minus the final one, mean over the tasks; the modality not "
        "given. Points: seeds.",
        forgetting,
    ),
    (
        "seconds",
        "Accuracy against time",
        "Seconds of learning all tasks from stored features, one thread. Small points: seeds; large ones: their mean. "
        "Accuracy goes by the logarithm of the error.",
        against_seconds,
    ),
    (
        "bytes",
        "Accuracy against memory",
        "Size of all tensors that a method keeps after the last task. Small points: seeds; large ones: their mean. "
        "Accuracy goes by the logarithm of the error.",
        against_bytes,
    ),
)
