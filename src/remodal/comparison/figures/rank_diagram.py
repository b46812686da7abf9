"""The critical-difference diagram of Demsar, "Statistical comparisons of classifiers", JMLR 2006."""

from __future__ import annotations

from matplotlib.figure import Figure

from remodal.comparison.statistics import Ranks

WIDTH = 11.5
"""Inches; about 1100 px in a page."""


def critical_differences(ranked: Ranks) -> Figure:
    """Names at their mean ranks, the better half on the left; bars join what can't be told apart."""
    names = sorted(ranked.mean, key=lambda name: ranked.mean[name])
    count, groups = len(names), ranked.groups
    left = names[: (count + 1) // 2]
    right = names[(count + 1) // 2 :]
    step, gap = 0.3, 0.16  # inches, between labels and between bars
    below = 0.2 + gap * len(groups)
    height = 0.9 + below + step * len(left) + 0.1
    figure = Figure(figsize=(WIDTH, height))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, WIDTH), ylim=(height, 0))  # inches, from the top
    axes.axis("off")
    start, end, line = 2.9, WIDTH - 2.9, 0.85

    def place(rank: float) -> float:
        return start + (rank - 1) / (count - 1) * (end - start)

    axes.plot((start, end), (line, line), color="black", linewidth=1.2)
    every = 1 if count <= 14 else 2
    for rank in range(1, count + 1, every):
        axes.plot((place(rank),) * 2, (line - 0.07, line), color="black", linewidth=1.2)
        axes.text(place(rank), line - 0.12, str(rank), ha="center", va="bottom")
    length = min(ranked.critical / (count - 1), 1.0) * (end - start)
    axes.plot((start, start + length), (0.28, 0.28), color="black", linewidth=1.5)
    for edge in (start, start + length):
        axes.plot((edge, edge), (0.22, 0.34), color="black", linewidth=1.5)
    more = ", more than the axis" if ranked.critical > count - 1 else ""
    axes.text(start + length + 0.1, 0.28, f"CD = {ranked.critical:.2f}{more}", va="center")
    for index, group in enumerate(groups):
        ends = place(ranked.mean[group[0]]) - 0.05, place(ranked.mean[group[-1]]) + 0.05
        y = line + 0.18 + gap * index
        axes.plot(ends, (y, y), color="#5f6873", linewidth=4.5, solid_capstyle="round")
    for side, outwards, text_at, align in (
        (left, left, start - 0.25, "right"),
        (right[::-1], right, end + 0.25, "left"),
    ):
        for row, name in enumerate(side):
            y, x = line + below + step * (row + 0.5), place(ranked.mean[name])
            edge = text_at + (0.05 if outwards is left else -0.05)
            axes.plot((x, x, edge), (line, y, y), color="#1b1f24", linewidth=0.9)
            axes.text(text_at, y, f"{name}  {ranked.mean[name]:.2f}", ha=align, va="center")
    return figure
