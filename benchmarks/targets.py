"""What the project set out to reach, target by target, from the committed tables.

Differences are paired by order and seed; their intervals are Student's, 95 %. *Ahead*: the interval lies above zero.
``results/targets.txt`` is what it says of them.
"""

from __future__ import annotations

import argparse
import csv
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import fmean, median
from typing import NamedTuple

from verify import RESULTS, read_predictions, stream_settings

from remodal.comparison.statistics import Interval, t_interval
from remodal.streams import stream as open_stream

Table = dict[tuple[str, str], dict[tuple[str, str], dict[str, str]]]
"""(method, features) -> (order, seed) -> row of ``cells.csv``."""
Contestant = tuple[str, str]
"""(method, features)."""
OWN, BOUND = "remodal", "joint"
LEAST_OF_BOUND = {"everyday": 0.99, "field": 0.99, "everyday-vit": 0.97}
BEHIND_COMM = ("l2p", "dualprompt", "coda-prompt", "s-prompts", "diki", "rapf", "slca", "moe-adapters", "cmcl")
WITHOUT_LEARNING = {"zero-shot"}
"""Whose gap says nothing."""
LEAST_MACRO = {"everyday": 0.87, "field": 0.90}
ASIDE = {"everyday": (), "field": ("video",)}
"""Modalities with too few held-out items to count."""
UNMEASURED = "not measured"
SAID = {True: "reached", False: "MISSED", None: "open"}


class Verdict(NamedTuple):
    """One line of the report. reached: None where it isn't told yet, by no run or by a single pair of them."""

    table: str
    target: str
    found: str
    reached: bool | None


def read(folder: Path) -> Table:
    """A table's rows."""
    table: Table = defaultdict(dict)
    with (folder / "cells.csv").open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            table[row["method"], row["features"]][row["order"], row["seed"]] = row
    return table


def difference(table: Table, one: Contestant, other: Contestant, measure: str) -> Interval:
    """How far ``one`` is ahead of ``other``."""
    blocks = table[one].keys() & table[other].keys()
    return t_interval([float(table[one][key][measure]) - float(table[other][key][measure]) for key in sorted(blocks)])


def mean(table: Table, who: Contestant, measure: str) -> float:
    """Over all orders and seeds."""
    return fmean(float(row[measure]) for row in table[who].values())


def points(interval: Interval) -> str:
    """In points.

    >>> points(Interval(0.0123, 0.004, 10))
    '+1.2 ± 0.4'
    """
    half = "" if interval.half is None else f" ± {100 * interval.half:.1f}"
    return f"{100 * interval.mean:+.1f}{half}"


def macro(folder: Path, who: Contestant, aside: Sequence[str]) -> float:
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


def ahead(table: Table, name: str, target: str, one: Contestant, other: Contestant) -> Verdict:
    """Whether ``one`` is ahead of ``other`` in last accuracy, the modality not given."""
    said = f"{target}: {one[0]} ahead of {other[0]} ({other[1]})"
    if other not in table:
        return Verdict(name, said, UNMEASURED, None)
    found = difference(table, one, other, "agnostic_last")
    return Verdict(name, said, points(found), lies_above(found))


def lies_above(interval: Interval) -> bool | None:
    """Whether all of it is above zero; None for a single value, which has no interval."""
    return None if interval.low is None else interval.low > 0


def leading(name: str, folder: Path) -> Iterator[Verdict]:
    """1: ``remodal`` is ahead of every method, on the same features, and near its bound."""
    table = read(folder)
    for features in sorted({features for _, features in table}):
        others = {method for method, of in table if of == features and not method.startswith((OWN, BOUND))}
        for other in sorted(others):
            yield ahead(table, name, "1", (OWN, features), (other, features))
    said = f"1: {OWN} at least {LEAST_OF_BOUND[name]} of {BOUND}"
    if (BOUND, "shared") not in table:
        yield Verdict(name, said, UNMEASURED, None)
        return
    of_bound = mean(table, (OWN, "shared"), "agnostic_last") / mean(table, (BOUND, "shared"), "agnostic_last")
    yield Verdict(name, said, f"{of_bound:.3f}", of_bound >= LEAST_OF_BOUND[name])


def on_a_laptop(name: str, folder: Path) -> Iterator[Verdict]:
    """What ``remodal`` has to keep on ``lite``."""
    table, own, bound = read(folder), (OWN, "shared"), (BOUND, "shared")
    share, least = macro(folder, own, ASIDE[name]), LEAST_MACRO[name]
    aside = f" without {', '.join(ASIDE[name])}" if ASIDE[name] else ""
    yield Verdict(name, f"1: macro over modalities{aside} at least {least}", f"{share:.3f}", share >= least)
    router = mean(table, own, "router_accuracy")
    yield Verdict(name, f"1: {OWN} finds the modality of at least .99", f"{router:.4f}", router >= 0.99)
    more = difference(table, own, bound, "forgetting")
    yield Verdict(name, f"1: {OWN} forgets at most a point more than {BOUND}", points(more), more.mean <= 0.01)


def reconstructed(name: str, folder: Path) -> Iterator[Verdict]:
    """2: ``comm`` is ahead of the paper's kind of rivals, on a transformer."""
    table = read(folder)
    for other in BEHIND_COMM:
        yield ahead(table, name, "2", ("comm", "shared"), (other, "shared"))


def close(name: str, folder: Path) -> Iterator[Verdict]:
    """3: where modalities look alike, ``remodal`` loses at most half of what the median rival loses."""
    table = read(folder)
    own = mean(table, (OWN, "shared"), "gap")
    rivals = {method for method, _ in table if not method.startswith((OWN, BOUND))} - WITHOUT_LEARNING
    others = median(mean(table, (rival, "shared"), "gap") for rival in rivals)
    found = f"{100 * own:.1f} of {100 * others:.1f} points"
    yield Verdict(name, f"3: gap of {OWN} at most half of the median rival's", found, own <= others / 2)


ASKED = {
    "everyday": (leading, on_a_laptop),
    "field": (leading, on_a_laptop),
    "everyday-vit": (leading, reconstructed),
    "everyday-close": (close,),
}
"""What is asked of each table."""


def main() -> None:
    """Print a line a target."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, default=RESULTS)
    asked = parser.parse_args()
    found = list[Verdict]()
    for name, questions in ASKED.items():
        if not (asked.results / name / "cells.csv").exists():
            print(f"not measured: {name}")
            continue
        found += [one for question in questions for one in question(name, asked.results / name)]
    for one in found:
        print(f"{SAID[one.reached]:8} {one.table:14} {one.target:65} {one.found}")
    told = [one.reached for one in found if one.reached is not None]
    print(f"{sum(told)} of {len(told)} reached, {len(found) - len(told)} open")


if __name__ == "__main__":
    main()
