"""Whether a table says what its predictions say: accuracies computed again, from the answers and the stream alone.

Each cell's final accuracies in ``cells.csv`` (``aware_last``, ``agnostic_last``: means over the tasks) are computed
from ``predictions.parquet``. Tasks and true classes come from the stream, a function of its name, order and seed.
One line a difference; exit status 1 where there is one, or where a table can't be read. A table whose stream isn't here
is skipped, with a line; ``--strict`` counts that too.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
from collections import Counter, defaultdict
from collections.abc import Container, Iterator, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from remodal.errors import RemodalError, UnknownName
from remodal.streams import Stream, check
from remodal.streams import stream as open_stream

RESULTS = Path(__file__).parent / "results"
CELL = ("stream", "order", "seed", "method", "features")
ANSWERED = ("aware", "agnostic")
TOLERANCE = 1e-9
"""Of two sums of the same numbers; a single answer changes more."""

Rows = dict[tuple[str, ...], list[dict[str, str]]]
"""Rows of ``predictions.parquet`` by cell."""


class Held(NamedTuple):
    """What the stream says of a held-out item: its task, and its class."""

    task: int
    label: str


def differences(folder: Path) -> Iterator[str]:
    """A line for each difference.

    Raises:
        UnknownName: The stream isn't here.
    """
    with (folder / "cells.csv").open(newline="", encoding="utf-8") as file:
        cells = {tuple(row[name] for name in CELL): row for row in csv.DictReader(file)}
    predictions = read_predictions(folder / "predictions.parquet")
    for cell in cells.keys() ^ predictions.keys():
        yield f"{', '.join(cell)}: only in {'cells.csv' if cell in cells else 'predictions.parquet'}"
    opened: dict[tuple[str, ...], Stream] = {}
    for cell in cells.keys() & predictions.keys():
        which = cell[:3]
        if which not in opened:
            opened[which] = open_stream(which[0], order=which[1], seed=int(which[2]), **stream_settings(folder))
        for problem in problems_of(cells[cell], predictions[cell], opened[which]):
            yield f"{', '.join(cell)}: {problem}"


def problems_of(cell: Mapping[str, str], rows: list[dict[str, str]], stream: Stream) -> Iterator[str]:
    """What is wrong with one cell."""
    held = {item.id: Held(task.index, item.label) for task in stream for item in task.test}
    right: dict[str, dict[int, list[bool]]] = {name: defaultdict(list) for name in ANSWERED}
    for row in rows:
        known = held.get(row["item"])
        if known is None:
            yield f"{row['item']}: is no held-out item of the stream"
        elif known.label != row["truth"]:
            yield f"{row['item']}: truth {row['truth']!r}, is {known.label!r} in the stream"
        else:
            for name in ANSWERED:
                right[name][known.task].append(row[name] == known.label)
    answered = Counter(row["item"] for row in rows)
    yield from (f"{item}: answered {times} times" for item, times in answered.items() if times > 1)
    yield from (f"{item}: not answered" for item in left_out(stream, answered))
    for name in ANSWERED:
        stated, found = cell[f"{name}_last"], fmean(fmean(own) for own in right[name].values()) if right[name] else None
        if found is None or not stated or abs(float(stated) - found) > TOLERANCE:
            yield f"{name}_last is {stated or 'empty'}, its predictions give {found}"


def left_out(stream: Stream, answered: Container[str]) -> Iterator[str]:
    """Held-out items without an answer that can be read, as can an item to learn their class from."""
    for task in stream:
        for item in task.test:
            if item.id in answered or check(item) is not None:
                continue
            if any(check(other) is None for other in task.train if other.label == item.label):
                yield item.id


def read_predictions(path: Path) -> Rows:
    """Rows by cell."""
    found: Rows = defaultdict(list)
    table = pq.read_table(path)
    names = table.column_names
    for values in zip(*(table[name].to_numpy().tolist() for name in names)):  # to_pylist takes many times as long
        row = dict(zip(names, values))
        found[tuple(str(row[name]) for name in CELL)].append(row)
    return dict(found)


def stream_settings(folder: Path) -> dict[str, Any]:
    """The stream's settings that the table was made with."""
    path = folder / "settings.json"
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))["settings"]["stream"] if path.exists() else {}
    return found


def main(given: Sequence[str] | None = None) -> int:
    """Say what is wrong with the tables ``given`` (by default the command line's); 1 where something is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "tables", nargs="*", type=Path, help="folders that `remodal compare` has left; else all of ours"
    )
    parser.add_argument("--strict", action="store_true", help="count a table whose stream isn't here as wrong")
    arguments = parser.parse_args(given)
    wrong = False
    for folder in arguments.tables or sorted(path.parent for path in RESULTS.glob("*/cells.csv")):
        try:
            lines = sorted(differences(folder))
        except UnknownName as error:
            print(f"{folder}: skipped: {error}")
            wrong |= arguments.strict
            continue
        except (OSError, KeyError, ValueError, pa.ArrowException, RemodalError) as error:
            print(f"{folder}: can't be read: {type(error).__name__}: {error}")
            wrong = True
            continue
        for line in lines:
            print(f"{folder}: {line}")
        if not lines:
            print(f"{folder}: all accuracies are those of the predictions")
        wrong |= bool(lines)
    return int(wrong)


if __name__ == "__main__":
    sys.exit(main())
