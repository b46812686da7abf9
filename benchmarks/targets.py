"""What the project set out to reach, target by target, from the committed tables ``everyday`` and ``field``.

Differences are paired by order and seed; their intervals are Student's, 95 %. *Ahead*: the interval lies above zero;
*level*: it holds zero. Exit status 1 where a target isn't reached.
"""

from __future__ import annotations

import argparse
import csv
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import fmean
from typing import NamedTuple

from verify import RESULTS, read_predictions, stream_settings

from remodal.comparison.statistics import Interval, t_interval
from remodal.streams import stream as open_stream

Table = dict[tuple[str, str], dict[tuple[str, str], dict[str, str]]]
"""(method, features) -> (order, seed) -> row of ``cells.csv``."""
BOUND = "joint"
BEHIND_COMM = ("finetune", "l2p", "dualprompt", "coda-prompt", "s-prompts", "diki", "rapf", "cmcl")
LEAST_MACRO = {"everyday": 0.87, "field": 0.90}
ASIDE = {"everyday": (), "field": ("video",)}
"""Modalities with too few held-out items to count."""


class Verdict(NamedTuple):
    """One line of the report."""

    table: str
    target: str
    found: str
    reached: bool


def read(folder: Path) -> Table:
    """A table's rows."""
    table: Table = defaultdict(dict)
    with (folder / "cells.csv").open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            table[row["method"], row["features"]][row["order"], row["seed"]] = row
    return table


def difference(table: Table, one: tuple[str, str], other: tuple[str, str], measure: str) -> Interval:
    """How far ``one`` is ahead of ``other``."""
    blocks = table[one].keys() & table[other].keys()
    return t_interval([float(table[one][key][measure]) - float(table[other][key][measure]) for key in sorted(blocks)])


def mean(table: Table, who: tuple[str, str], measure: str) -> float:
    """Over all orders and seeds."""
    return fmean(float(row[measure]) for row in table[who].values())


def points(interval: Interval) -> str:
    """In points.

    >>> points(Interval(0.0123, 0.004, 10))
    '+1.2 ± 0.4'
    """
    half = "" if interval.half is None else f" ± {100 * interval.half:.1f}"
    return f"{100 * interval.mean:+.1f}{half}"


def macro(folder: Path, who: tuple[str, str], aside: Sequence[str]) -> float:
    """Agnostic last accuracy as the mean over modalities, each of them the mean over its tasks."""
    found = []
    for (stream, order, seed, *method), rows in read_predictions(folder / "predictions.parquet").items():
        if tuple(method) != who:
            continue
        tasks = open_stream(stream, order=order, seed=int(seed), **stream_settings(folder)).tasks
        task_of = {item.id: task for task in tasks for item in task.test}
        right: dict[str, dict[int, list[bool]]] = defaultdict(lambda: defaultdict(list))
        for row in rows:
            task = task_of[row["item"]]
            right[task.modality][task.index].append(row["agnostic"] == row["truth"])
        shares = [fmean(map(fmean, by.values())) for modality, by in right.items() if modality not in aside]
        found.append(fmean(shares))
    return fmean(found)


def verdicts(name: str, folder: Path) -> Iterator[Verdict]:
    """Every target on one table."""
    table, own, bound = read(folder), ("remodal", "shared"), (BOUND, "shared")
    others = sorted({method for method, _ in table} - {"remodal", BOUND})
    for measure in ("agnostic_last", "agnostic_average"):
        for features, least in (("published", "ahead"), ("shared", "ahead or level")):
            for other in others:
                one = difference(table, own, (other, features), measure)
                end = one.low if least == "ahead" else one.high
                reached = end is not None and end > 0
                yield Verdict(name, f"1: remodal {least}: {other} ({features}), {measure}", points(one), reached)
    share = macro(folder, own, ASIDE[name])
    aside = f" without {', '.join(ASIDE[name])}" if ASIDE[name] else ""
    yield Verdict(name, f"1: macro over modalities{aside} at least {LEAST_MACRO[name]}", f"{share:.3f}",
                  share >= LEAST_MACRO[name])  # fmt: skip
    of_bound = mean(table, own, "agnostic_last") / mean(table, bound, "agnostic_last")
    yield Verdict(name, "1: at least .99 of joint", f"{of_bound:.3f}", of_bound >= 0.99)
    over = difference(table, own, bound, "agnostic_last")
    yield Verdict(name, "1: joint is a bound: not behind", points(over), over.low is not None and over.low <= 0)
    for other in BEHIND_COMM:
        one = difference(table, ("comm", "shared"), (other, "shared"), "agnostic_last")
        yield Verdict(name, f"2: comm ahead of {other}", points(one), one.low is not None and one.low > 0)
    gap, router = mean(table, own, "gap"), mean(table, own, "router_accuracy")
    yield Verdict(name, "3: gap of remodal at most .01", f"{gap:.4f}", gap <= 0.01)
    yield Verdict(name, "3: router accuracy of remodal at least .99", f"{router:.4f}", router >= 0.99)
    more = difference(table, own, bound, "forgetting")
    yield Verdict(name, "3: forgetting within 1 point of joint's", points(more), more.mean <= 0.01)


def main() -> None:
    """Print a line a target."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, default=RESULTS)
    asked = parser.parse_args()
    found = [one for name in LEAST_MACRO for one in verdicts(name, asked.results / name)]
    for one in found:
        print(f"{'reached' if one.reached else 'MISSED ':8} {one.table:9} {one.target:75} {one.found}")
    missed = sum(not one.reached for one in found)
    print(f"{len(found) - missed} of {len(found)} reached")
    raise SystemExit(1 if missed else 0)


if __name__ == "__main__":
    main()
