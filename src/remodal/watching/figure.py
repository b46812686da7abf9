"""Accuracy over time, drawn from the log."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from math import nan
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from remodal.comparison.figures import STYLE
from remodal.errors import RemodalError
from remodal.files import replacing
from remodal.report.charts import apart
from remodal.report.colours import colour
from remodal.saved import current_description, located
from remodal.watching.log import LOG, Entry, entries

KINDS = (".pdf", ".png", ".svg")
BESIDE = np.timedelta64(30, "s")
"""What is drawn before the first entry and after the last, at least."""
Times = Any
"""``[n]``, of NumPy's datetime64."""
LABEL = 10.0
"""Height of a label, in points."""
MARKED = 40
"""Versions that have a mark each; where there are more, a line is enough."""


def draw(model: str | Path, file: Path) -> Path:
    """Draw in ``file`` what the log of a model says of accuracy on held-out items, and of how many were learned.

    Raises:
        RemodalError: Nothing is logged yet, or the file is of another kind.
    """
    if file.suffix.lower() not in KINDS:
        raise RemodalError(f"{file}: found the ending {file.suffix!r}; valid: {', '.join(KINDS)}")
    folder = located(model)
    logged = [one for one in entries(folder, current_description(folder).about.arrived) if one.version is not None]
    if not logged:
        raise RemodalError(f"{folder / LOG}: found nothing that was learned as it arrived; watch a folder first")
    with mpl.rc_context(STYLE):
        figure = over_time(logged)
        with replacing(file) as part:
            figure.savefig(part, format=file.suffix[1:].lower(), dpi=160)
    return file


def over_time(logged: Sequence[Entry]) -> Figure:
    """Accuracy on what is held out, a line a modality, and below it how many items were learned.

    Dotted: the modality given. Marks at the foot: a class came that was new.
    """
    figure = Figure(figsize=(8, 5))
    figure.subplots_adjust(left=0.1, right=0.78, bottom=0.1, top=0.93, hspace=0.1)
    above, below = figure.subplots(2, sharex=True, height_ratios=(3, 1))
    times: Times = np.array([one.time[:19] for one in logged], "datetime64[s]")
    for name in dict.fromkeys(name for one in logged for name in (*one.accuracy, *(new.modality for new in one.new))):
        _lines(above, name, times, logged)
        came = [time for time, one in zip(times, logged) if any(new.modality == name for new in one.new)]
        above.plot(came, [0.015] * len(came), "|", color=colour(name), markersize=9, clip_on=False)
    above.set(ylim=(0, 1.02), ylabel="accuracy on held-out items")
    above.set_title("dotted: the modality given; marks at the foot: a new class", loc="left", fontsize=LABEL - 1)
    above.yaxis.set_major_formatter(PercentFormatter(1.0))
    learned = list(accumulate(len(one.learned) for one in logged))
    below.plot(times, learned, color="#5f6873", drawstyle="steps-post", linewidth=1.4)
    below.set(ylim=(0, 1.1 * max(1, *learned)), ylabel="items learned", xlabel="time (UTC)")
    margin = max(BESIDE, (times[-1] - times[0]) / 50)
    below.set_xlim(times[0] - margin, times[-1] + margin)
    below.xaxis.set_major_locator(locator := AutoDateLocator(maxticks=8))  # type: ignore[no-untyped-call]
    below.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]
    _label(above, above.get_window_extent().height * 72 / figure.dpi, logged[-1])
    return figure


def _lines(axes: Axes, name: str, times: Times, logged: Sequence[Entry]) -> None:
    """One modality's; broken where the method can't say."""
    known = [(time, one.accuracy[name]) for time, one in zip(times, logged) if name in one.accuracy]
    when, measured = [time for time, _ in known], [one for _, one in known]
    given = [nan if one.aware is None else one.aware for one in measured]
    not_given = [nan if one.agnostic is None else one.agnostic for one in measured]
    axes.plot(when, given, ":", color=colour(name), drawstyle="steps-post", linewidth=1.2)
    mark = "o" if len(known) <= MARKED else ""
    axes.plot(when, not_given, color=colour(name), drawstyle="steps-post", linewidth=1.6, marker=mark, markersize=3.5)


def _label(axes: Axes, height: float, last: Entry) -> None:
    """Names and accuracies at the end, beside the lines; none covers another. height: of the axes, in points."""
    low, high = axes.get_ylim()
    shares = {name: one.agnostic for name, one in last.accuracy.items() if one.agnostic is not None}
    places = [(name, (high - share) / (high - low)) for name, share in shares.items()]
    for name, place in apart(places, 1.2 * LABEL / height, lowest=1.0):
        text = f"{name}  {100 * shares[name]:.1f} % of {last.accuracy[name].items:,}"
        axes.text(
            1.02, 1 - place, text, color=colour(name), fontsize=LABEL - 1, verticalalignment="center",
            transform=axes.transAxes,
        )  # fmt: skip
