"""Accuracy against time, every contestant a point with its name."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, NullLocator

from remodal.comparison.figures import STYLE
from remodal.comparison.figures.scales import BY_ERROR, tick, upper_end
from remodal.comparison.looks import COLOURS
from remodal.files import replacing

Rows = Sequence[dict[str, Any]]
KINDS = {"published": "features of the last layer", "shared": "features as remodal uses them"}
LOOKS = dict(zip(("remodal", "Avalanche", "scikit-learn", "river"), zip(COLOURS, "osD^")))
PLACES = [(dx, dy) for dy in (0, 10, -10, 20, -20, 30, -30, 40, -40, 50, -50) for dx in (8, -8)]
"""Where a name may stand, in points from its mark: the first place that is free."""


def draw(rows: Rows, file: Path) -> None:
    """Write the figure."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(11.5, 6.2), layout="constrained")
        panels = figure.subplots(1, 2, sharey=True)
        every = [row["accuracy"] for row in rows]
        for axes, (kind, title) in zip(panels, KINDS.items()):
            axes.set_title(title, fontsize=10)
            axes.set_xscale("log")
            axes.set_yscale("function", functions=BY_ERROR)
            tick(axes.yaxis)
            axes.set_ylim(0, upper_end(max(every)))
            axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g} s"))
            axes.xaxis.set_minor_locator(NullLocator())
            axes.set_xlabel("seconds of learning all tasks and answering after each")
            own = [row for row in rows if row["features"] == kind]
            for row in own:
                _mark(axes, row)
            spent = [_seconds(row) for row in own] or [1.0]
            axes.set_xlim(min(spent) / 2, max(spent) * 4)
        panels[0].set_ylabel("accuracy after the last task")
        figure.legend(handles=_legend(), loc="outside lower center", ncols=6)
        figure.draw_without_rendering()  # lays the panels out
        for axes, kind in zip(panels, KINDS):
            _name(axes, [row for row in rows if row["features"] == kind])
        with replacing(file) as part:
            figure.savefig(part, format="png", dpi=110)


def _seconds(row: dict[str, Any]) -> float:
    return float(row["seconds"]["learn"] + row["seconds"]["answer"])


def _mark(axes: Axes, row: dict[str, Any]) -> None:
    colour, marker = LOOKS[row["library"]]
    face = "white" if row["loop"] else colour
    axes.plot(_seconds(row), row["accuracy"], marker=marker, color=colour, markerfacecolor=face, markersize=7)


def _name(axes: Axes, rows: Rows) -> None:
    """A name beside each mark; none covers another, nor a mark."""
    figure = axes.figure
    marks = [axes.transData.transform((_seconds(row), row["accuracy"])) for row in rows]
    points = figure.dpi / 72
    taken = [mpl.transforms.Bbox.from_bounds(x - 4 * points, y - 4 * points, 8 * points, 8 * points) for x, y in marks]
    for row in sorted(rows, key=lambda row: -row["accuracy"]):
        name = row["who"] + (", keeps all items" if row["keeps_items"] else "")
        for dx, dy in PLACES:
            text = axes.annotate(
                name, (_seconds(row), row["accuracy"]), (dx, dy), textcoords="offset points", fontsize=8,
                va="center", ha="left" if dx > 0 else "right", color=LOOKS[row["library"]][0],
            )  # fmt: skip
            box = text.get_window_extent()
            inside = axes.bbox.x0 <= box.x0 and box.x1 <= axes.bbox.x1 and axes.bbox.y0 <= box.y0
            free = inside and not any(box.overlaps(other) for other in taken)
            if free or (dx, dy) == PLACES[-1]:
                break
            text.remove()
        taken.append(box)
        if dy:
            line = {"arrowstyle": "-", "color": "#5f6873", "linewidth": 0.6}
            at = _seconds(row), row["accuracy"]
            axes.annotate("", at, (dx, dy), textcoords="offset points", arrowprops=line)


def _legend() -> list[Line2D]:
    libraries = [
        Line2D([], [], color=colour, marker=marker, linestyle="none", label=library)
        for library, (colour, marker) in LOOKS.items()
    ]
    grey: dict[str, Any] = {"color": "#5f6873", "marker": "o", "linestyle": "none"}
    return [
        *libraries,
        Line2D([], [], **grey, label="stored features"),
        Line2D([], [], **grey, markerfacecolor="white", label="from pictures or files"),
    ]
