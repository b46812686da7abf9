"""The figures of a table, each one a function from finished cells to a matplotlib figure."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib as mpl
from matplotlib.figure import Figure

from remodal.comparison.collect import Finished
from remodal.comparison.figures.cost import against_bytes, against_seconds
from remodal.comparison.figures.forgetting import forgetting
from remodal.comparison.figures.gap import aware_against_agnostic
from remodal.comparison.figures.over_tasks import accuracy_over_tasks
from remodal.comparison.figures.rank_diagram import critical_differences
from remodal.comparison.looks import looks
from remodal.comparison.plan import Contestant
from remodal.comparison.statistics import ranks
from remodal.comparison.tables import blocks
from remodal.files import replacing

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


_KINDS = (
    (
        "accuracy",
        "Accuracy over tasks",
        "After each task the mean accuracy over all tasks seen, the modality not given. Lines: mean over the seeds; "
        "bands: from the lowest seed to the highest; beside the names: at the end. Accuracy goes by the logarithm of "
        "the error.",
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
