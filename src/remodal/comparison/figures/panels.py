"""What figures share: a panel an order and kind of features, a legend, and points with their mean."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D

from remodal.comparison.collect import Finished
from remodal.comparison.figures.rank_diagram import WIDTH
from remodal.comparison.looks import Look
from remodal.comparison.plan import Contestant


def panels(
    finished: Sequence[Finished],
    look: Mapping[Contestant, Look],
    panel: Callable[[Axes, Contestant, Sequence[Finished]], None],
    *,
    across: str,
    up: str,
    sharex: bool = False,
    height: float = 3.5,
) -> Figure:
    """A panel an order and kind of features. across, up: what is drawn. height: of a panel, in inches."""
    orders, kinds = orders_of(finished), list(dict.fromkeys(who.features for who in look))
    rows, columns = (len(kinds), len(orders)) if len(orders) > 1 else (1, len(kinds))
    figure = Figure(figsize=(WIDTH, 1.0 + height * rows), layout=ConstrainedLayoutEngine(h_pad=0.1))
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
    return figure


def add_legend(figure: Figure, look: Mapping[Contestant, Look]) -> None:
    """One legend beside all panels."""
    methods = {who.method: one for who, one in look.items()}
    figure.set_figheight(max(figure.get_figheight(), 0.8 + 0.23 * len(methods)))
    handles = [
        Line2D([], [], color=one.colour, marker=one.marker, markersize=6, label=method)
        for method, one in methods.items()
    ]
    figure.legend(handles=handles, loc="outside right center")


def points(axes: Axes, look: Look, own: Sequence[Finished], across: str, up: str) -> None:
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


def orders_of(finished: Sequence[Finished]) -> list[str]:
    return list(dict.fromkeys(one.cell.order for one in finished))
