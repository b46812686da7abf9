"""What a model says of a long sound or clip, moment by moment, drawn."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MultipleLocator

from remodal.answering import Answer
from remodal.comparison.figures import STYLE
from remodal.errors import RemodalError
from remodal.files import replacing
from remodal.modalities.windows import Span, clock
from remodal.report.colours import OTHER, colour

KINDS = (".pdf", ".png", ".svg")
MOST_CLASSES = 12
"""Of a file, that are drawn: those that are there longest."""
MOST_FILES = 20
STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800)
"""Seconds between two marks of the axis; at most :data:`MARKS` are drawn."""
MARKS = 8
FAINTEST = 0.15
"""Opacity of an answer of probability 0; one of probability 1 is opaque."""
BAR = 0.8
"""Height of a bar, of a class's row."""
ROW, AROUND = 0.24, 0.75
"""Inches that a class takes, and what stands around the classes of a file."""


class Moment(NamedTuple):
    """The likeliest class of a window."""

    span: Span
    label: str
    modality: str
    probability: float
    unfamiliar: bool

    @classmethod
    def of(cls, span: Span, answer: Answer) -> Moment:
        """What a model says of a window, which could be answered."""
        best = answer.best[0]
        return cls(span, best.label, best.modality, best.probability, answer.unfamiliar)


def check(file: Path) -> None:
    """Raises RemodalError where no picture is drawn into a file of that name."""
    if file.suffix.lower() not in KINDS:
        raise RemodalError(f"{file}: found the ending {file.suffix!r}; valid: {', '.join(KINDS)}")


def draw(timelines: Mapping[str, Sequence[Moment]], file: Path) -> Path:
    """Draw in ``file`` what was said of each of some files, by their names; a row a class, time to the right.

    Raises:
        RemodalError: There is none, there are too many for a picture, or the file is of another kind.
    """
    check(file)
    if not 0 < len(timelines) <= MOST_FILES:
        raise RemodalError(f"found {len(timelines):,} files with windows to draw; valid: 1 to {MOST_FILES}")
    classes = [_longest(moments) for moments in timelines.values()]
    heights = [AROUND + ROW * len(each) for each in classes]
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(10, sum(heights)), layout="constrained")
        panels = figure.subplots(len(heights), squeeze=False, height_ratios=heights)[:, 0]
        for axes, (name, moments), listed in zip(panels, timelines.items(), classes, strict=True):
            _panel(axes, name, moments, listed)
        with replacing(file) as part:
            figure.savefig(part, format=file.suffix[1:].lower(), dpi=160)
    return file


def _longest(moments: Sequence[Moment]) -> list[tuple[str, str]]:
    """The classes that are there longest, longest first: modality and label."""
    lasts: dict[tuple[str, str], float] = defaultdict(float)
    for one, (start, end) in zip(moments, _apart(moments), strict=True):
        lasts[one.modality, one.label] += end - start
    return sorted(lasts, key=lambda column: -lasts[column])[:MOST_CLASSES]


def _apart(moments: Sequence[Moment]) -> list[tuple[float, float]]:
    """From when to when each stands for what is heard or seen: half of what it shares with its neighbours."""
    found = []
    for at, one in enumerate(moments):
        start, end = one.span
        if at and moments[at - 1].span.end > start:
            start = (start + moments[at - 1].span.end) / 2
        if at + 1 < len(moments) and moments[at + 1].span.start < end:
            end = (moments[at + 1].span.start + end) / 2
        found.append((start, end))
    return found


def _panel(axes: Axes, name: str, moments: Sequence[Moment], classes: Sequence[tuple[str, str]]) -> None:
    """One file's."""
    places = _apart(moments)
    for row, column in enumerate(classes):
        own = [at for at, one in enumerate(moments) if (one.modality, one.label) == column]
        bars = [(places[at][0], places[at][1] - places[at][0]) for at in own]
        shades = [
            to_rgba(
                OTHER if moments[at].unfamiliar else colour(column[0]),
                FAINTEST + (1 - FAINTEST) * moments[at].probability,
            )
            for at in own
        ]
        axes.broken_barh(bars, (row - BAR / 2, BAR), facecolors=shades, linewidth=0)
    axes.set_yticks(range(len(classes)), [label for _, label in classes])
    axes.set_ylim(len(classes) - 0.5, -0.5)
    first, last = moments[0].span.start, moments[-1].span.end
    axes.set_xlim(first, last)
    step = next((one for one in STEPS if (last - first) / one <= MARKS), STEPS[-1])
    axes.xaxis.set_major_locator(MultipleLocator(step))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda seconds, _: clock(seconds)))
    axes.tick_params(axis="y", length=0)
    axes.set_title(Path(name).name, loc="left", fontsize=10)
    axes.set_title("faint: less sure; grey: unlike anything learned", loc="right", fontsize=8)
