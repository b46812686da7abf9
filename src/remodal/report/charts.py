"""Charts as SVG: one function a kind. What they draw is escaped; the page's style sheet gives inks and fonts.

Matrices are as in ``results.json``: row t is after t tasks, so there are T + 1 rows of T shares, None where the method
can't say.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from remodal.learning.metrics import Matrix, mean
from remodal.report.colours import colour

Point = tuple[float, float]

FAINTEST = 0.05  # opacity of a share of 0: a cell that is there, unlike one that is blank
WAVE_WIDTH = 200


def accuracy_over_tasks(aware: Matrix, agnostic: Matrix, modalities: Sequence[str]) -> Markup:
    """Mean accuracy over the tasks seen, after each task; and, agnostic, over those of each modality."""
    left, top, width, height, right = 46, 10, 430, 250, 84
    count = len(modalities)
    curves = {name: seen_means(agnostic, modalities, name) for name in dict.fromkeys(modalities)}
    overall, given = seen_means(agnostic, modalities), seen_means(aware, modalities)
    known = [share for curve in (*curves.values(), overall, given) for share in curve if share is not None]
    lowest = min(math.floor(10 * min(known, default=0)), 9)  # tenths

    def place(task: int, share: float) -> Point:
        across = (task + 0.5) / count
        return left + across * width, top + (10 - 10 * share) / (10 - lowest) * height

    drawn = [_percent_axis(lowest, left, top, width, height), _task_axis(modalities, left, top + height + 6, width)]
    places = [
        [None if share is None else place(task, share) for task, share in enumerate(curve)]
        for curve in (given, overall, *curves.values())
    ]
    drawn += [_line(curve, "thin", colour(name)) for name, curve in zip(curves, places[2:], strict=True)]
    drawn += [_line(places[0], "band"), _line(places[1], "main")]
    radius = min(4.0, 0.3 * width / count)
    drawn += [
        _tag("circle", cx=x, cy=y, r=radius, fill=colour(name))
        for name, point in zip(modalities, places[1], strict=True)
        if point
        for x, y in [point]
    ]
    names = ["", "all tasks", *curves]
    ends = [(name, curve[-1][1]) for name, curve in zip(names, places, strict=True) if name and curve[-1]]
    for name, y in apart(ends, 14, top + height):
        label, fill = (name, "currentColor") if name == "all tasks" else (name, colour(name))
        drawn.append(_tag("rect", x=left + width + 6, y=y - 4.5, width=9, height=9, rx=2, fill=fill))
        drawn.append(_tag("text", label, x=left + width + 20, y=y + 4))
    drawn.append(_tag("text", "task learned", x=left + width / 2, y=top + height + 40, class_="middle faint"))
    label = "Mean accuracy over the tasks seen, after each task"
    return _svg(drawn, left + width + right, top + height + 46, label)


def heat_map(matrix: Matrix, modalities: Sequence[str], classes: Sequence[str], label: str) -> Markup:
    """The matrix of accuracies; what lies below the stairs was learned. Cells hold per cents where they fit."""
    count = len(modalities)
    cell = min(30.0, 504 / count)  # px
    left, top = 52.0, 30.0
    fits = cell >= 20
    faces: dict[int, list[str]] = {}
    numbers = []
    for row, shares in enumerate(matrix):
        for column, share in enumerate(shares):
            if share is None:
                continue
            whole = round(100 * share)
            faces.setdefault(whole, []).append(f"M{column} {row}h1v1h-1z")
            if fits:
                x, y = left + (column + 0.5) * cell, top + (row + 0.5) * cell + 3.5
                numbers.append(_tag("text", whole, x=x, y=y, class_="cell over" if whole > 55 else "cell"))
    # One path for all cells of a per cent: a hundred tasks have twenty thousand cells.
    squares = [
        _tag("path", d="".join(path), fill_opacity=_opacity(whole / 100)) for whole, path in sorted(faces.items())
    ]
    grid = f"translate({left:g} {top:g}) scale({cell:g})"
    drawn = [_tag("g", Markup("").join(squares), class_="heat", transform=grid), *numbers]
    every = _every(cell, count)
    for index, (name, described) in enumerate(zip(modalities, classes, strict=True)):
        x, y = left + index * cell, top + (index + 1) * cell
        title = _tag("title", f"task {index + 1}, {name}: {described}")
        drawn.append(_tag("rect", title, x=x, y=top - 9, width=0.95 * cell, height=6, fill=colour(name)))
        drawn.append(_tag("rect", title, x=left - 9, y=y, width=6, height=0.95 * cell, fill=colour(name)))
        if (index + 1) % every == 0:
            drawn.append(_tag("text", index + 1, x=x + cell / 2, y=top - 13, class_="middle faint"))
            drawn.append(_tag("text", index + 1, x=left - 13, y=y + cell / 2 + 4, class_="end faint"))
    drawn.append(_tag("text", "before", x=left - 6, y=top + cell / 2 + 4, class_="end faint"))
    stairs = f"M{left:g} {top + cell:g}" + f"h{cell:g}v{cell:g}" * count
    drawn.append(_tag("path", d=stairs, class_="stairs"))
    return _svg(drawn, left + count * cell + 2, top + (count + 1) * cell + 2, label)


def confusion(modalities: Sequence[str], counts: Sequence[Sequence[int]]) -> Markup:
    """Items of each modality (rows) by the modality of the answer (columns), shaded by their share of the row."""
    kept = [index for index, row in enumerate(counts) if any(row) or any(other[index] for other in counts)]
    across, down, left, top = 72, 46, 70, 46
    drawn = [_tag("text", "answered as", x=left + len(kept) * across / 2, y=14, class_="middle faint")]
    for place, index in enumerate(kept):
        name, x, y, total = modalities[index], left + place * across, top + place * down, sum(counts[index])
        drawn.append(_tag("text", name, x=x + across / 2, y=top - 14, class_="middle"))
        drawn.append(_tag("rect", x=x + 1, y=top - 8, width=across - 2, height=5, fill=colour(name)))
        drawn.append(_tag("text", name, x=left - 16, y=y + down / 2 + 4, class_="end"))
        drawn.append(_tag("rect", x=left - 9, y=y + 1, width=5, height=down - 2, fill=colour(name)))
        for column, other in enumerate(kept):
            number = counts[index][other]
            share = number / total if total else 0.0
            middle, ink = left + (column + 0.5) * across, "over" if share > 0.55 else ""
            cell = {"x": middle - across / 2 + 1, "y": y + 1, "width": across - 2, "height": down - 2}
            drawn.append(_tag("rect", **cell, class_="heat", fill_opacity=_opacity(share)))
            drawn.append(_tag("text", f"{number:,}", x=middle, y=y + down / 2 + 1, class_=f"middle {ink}"))
            words = f"{100 * share:.1f} %"
            drawn.append(_tag("text", words, x=middle, y=y + down / 2 + 15, class_=f"middle small {ink}"))
    label = "Items of each modality by the modality of the answer"
    return _svg(drawn, left + len(kept) * across + 2, top + len(kept) * down + 2, label)


def drop_bar(drop: float | None, longest: float, modality: str, *, hollow: bool = False) -> Markup:
    """A bar from 0 to ``drop``, where ``longest`` fills the whole width."""
    width, height = 140, 9
    length = (drop or 0.0) / longest * (width - 2)
    style = {"fill": "none", "stroke": colour(modality)} if hollow else {"fill": colour(modality)}
    bar = _tag("rect", x=1, y=1, width=length, height=height - 2, **style) if length else Markup("")
    return _tag("svg", bar, viewBox=f"0 0 {width} {height}", class_="bar", aria_hidden="true")


def extent(wave: NDArray[np.float32]) -> tuple[tuple[float, float], ...]:
    """Lowest and highest value of each of at most ``WAVE_WIDTH`` parts of a sound ``[n]``, the loudest at -1 or 1.

    >>> extent(np.array([0.0, 0.5, -2.0], np.float32))
    ((0.0, 0.0), (0.25, 0.25), (-1.0, -1.0))
    """
    peak = float(np.abs(wave).max()) or 1.0
    parts = np.array_split(wave / peak, min(WAVE_WIDTH, len(wave)))
    return tuple((round(float(part.min()), 3), round(float(part.max()), 3)) for part in parts)


def waveform(extents: Sequence[tuple[float, float]], modality: str) -> Markup:
    """What :func:`extent` found of a sound, over time."""
    width, height = WAVE_WIDTH, 44
    low, high = np.array(extents).T
    x = np.linspace(0, width, len(extents))
    above, below = (height / 2 * (1 - edge) for edge in (high, low))
    outline = [*zip(x, above, strict=True), *reversed(list(zip(x, below, strict=True)))]
    path = "M" + "L".join(f"{a:.0f} {b:.1f}" for a, b in outline) + "z"
    drawn = _tag("path", d=path, fill=colour(modality), stroke=colour(modality), stroke_width=0.5)
    return _tag("svg", drawn, viewBox=f"0 0 {width} {height}", preserveAspectRatio="none", class_="wave")


def seen_means(matrix: Matrix, modalities: Sequence[str], only: str | None = None) -> list[float | None]:
    """After each task, the mean over the tasks seen; over those of the modality ``only``, if one is given.

    >>> seen_means([[0.1, 0.2], [0.9, 0.2], [0.7, 0.8]], ["image", "text"])
    [0.9, 0.75]
    >>> seen_means([[0.1, 0.2], [0.9, 0.2], [0.7, 0.8]], ["image", "text"], only="text")
    [None, 0.8]
    """
    return [
        mean(row[task] for task in range(seen) if only in (None, modalities[task]))
        for seen, row in enumerate(matrix)
        if seen
    ]


def apart(labels: Sequence[tuple[str, float]], distance: float, lowest: float) -> list[tuple[str, float]]:
    """The labels from the top down (y grows downwards), moved so that none covers another nor goes below ``lowest``.

    >>> apart([("b", 11.0), ("a", 10.0), ("c", 40.0)], distance=5, lowest=40)
    [('a', 10.0), ('b', 15.0), ('c', 40.0)]
    """
    ordered = sorted(labels, key=lambda label: label[1])
    limit = lowest - distance * (len(ordered) - 1)
    placed: list[tuple[str, float]] = []
    previous = -math.inf
    for index, (name, y) in enumerate(ordered):
        previous = max(previous + distance, min(y, limit + distance * index))
        placed.append((name, previous))
    return placed


def _opacity(share: float) -> float:
    return FAINTEST + share * (0.97 - FAINTEST)


def _percent_axis(lowest: int, left: float, top: float, width: float, height: float) -> Markup:
    """Gridlines from ``lowest`` tenths to 100 %."""
    drawn = []
    for tenth in range(10, lowest - 1, -1 if lowest >= 5 else -2):
        y = top + (10 - tenth) / (10 - lowest) * height
        drawn.append(_tag("path", d=f"M{left} {y:g}h{width}", class_="grid"))
        drawn.append(_tag("text", f"{10 * tenth} %", x=left - 6, y=y + 4, class_="end faint"))
    return Markup("").join(drawn)


def _task_axis(modalities: Sequence[str], left: float, top: float, width: float) -> Markup:
    step = width / len(modalities)
    every = _every(step, len(modalities))
    drawn = []
    for index, name in enumerate(modalities):
        x = left + index * step
        drawn.append(_tag("rect", x=x, y=top, width=0.95 * step, height=5, fill=colour(name)))
        if (index + 1) % every == 0:
            drawn.append(_tag("text", index + 1, x=x + step / 2, y=top + 18, class_="middle faint"))
    return Markup("").join(drawn)


def _every(step: float, count: int) -> int:
    """Of ``count`` tasks ``step`` px apart, which ones get a number: every 1st, 5th, 10th or 50th."""
    return next((every for every in (1, 5, 10) if every * step >= 8 * len(str(count))), 50)


def _line(points: Sequence[Point | None], kind: str, stroke: str | None = None) -> Markup:
    """A line that is broken where a point is missing."""
    path, pen = "", "M"
    for point in points:
        path += f"{pen}{point[0]:.1f} {point[1]:.1f}" if point else ""
        pen = "L" if point else "M"
    return _tag("path", d=path, class_=f"line {kind}", **({"stroke": stroke} if stroke else {}))


def _svg(drawn: Sequence[Markup], width: float, height: float, label: str) -> Markup:
    # It may grow a little, and shrink as long as its text can be read; then its figure scrolls.
    style = f"width:100%;min-width:{0.65 * width:.0f}px;max-width:{1.3 * width:.0f}px"
    content = Markup("\n").join(drawn)
    return _tag("svg", content, viewBox=f"0 0 {width:g} {height:g}", role="img", aria_label=label, style=style)


def _tag(name: str, content: object = "", /, **attributes: Any) -> Markup:
    """An SVG element. ``class_`` is class, ``fill_opacity`` fill-opacity; numbers are rounded; all is escaped."""
    written = Markup("").join(
        Markup(' {}="{}"').format(key.rstrip("_").replace("_", "-"), _short(value)) for key, value in attributes.items()
    )
    return Markup("<{0}{1}>{2}</{0}>").format(name, written, content)


def _short(value: object) -> object:
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else value
