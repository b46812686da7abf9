"""What not knowing the modality costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from remodal.comparison.collect import Finished
from remodal.comparison.figures.panels import add_legend, panels, points
from remodal.comparison.figures.scales import BY_ERROR, ends_of, tick
from remodal.comparison.looks import Look
from remodal.comparison.plan import Contestant


def aware_against_agnostic(finished: Sequence[Finished], look: Mapping[Contestant, Look]) -> Figure:
    """A point a seed; what not knowing the modality costs is the distance from the diagonal."""

    def panel(axes: Axes, who: Contestant, own: Sequence[Finished]) -> None:
        points(axes, look[who], own, "aware_last", "agnostic_last")

    figure = panels(finished, look, panel, across="aware: the modality is given", up="agnostic: it is not", sharex=True)
    add_legend(figure, look)
    ends = ends_of(finished, "aware_last", "agnostic_last")
    for axes in figure.axes:
        axes.set_xscale("function", functions=BY_ERROR)
        axes.set_yscale("function", functions=BY_ERROR)
        tick(axes.xaxis)
        tick(axes.yaxis)
        axes.set(xlim=ends, ylim=ends)
        diagonal = np.linspace(*ends)
        axes.plot(diagonal, diagonal, color="#5f6873", linewidth=1, zorder=1)
    return figure
