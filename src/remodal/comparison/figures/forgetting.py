"""What was forgotten."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from remodal.comparison.collect import Finished
from remodal.comparison.figures.panels import orders_of
from remodal.comparison.figures.rank_diagram import WIDTH
from remodal.comparison.looks import Look
from remodal.comparison.plan import Contestant


def forgetting(finished: Sequence[Finished], look: Mapping[Contestant, Look]) -> Figure:
    """Bars of means with a point a seed, the least first."""
    orders = orders_of(finished)
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
        axes.set_ylim(max(1, len(shown)) - 0.5, -0.5)
        axes.axvline(0, color="#5f6873", linewidth=0.8)
        axes.grid(visible=False, axis="y")
        axes.set_title(f"order: {order}", fontsize=10)
        axes.set(xlabel="forgetting, percentage points")
    return figure


def _known(finished: Sequence[Finished], order: str, who: Contestant, measure: str) -> list[float]:
    own = [one for one in finished if one.cell.order == order and one.cell.contestant == who]
    return [value for one in own if (value := one.measures[measure]) is not None]
