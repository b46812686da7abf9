"""Does learning stay linear in time and flat in memory? Up to a hundred thousand items of many classes, in ten tasks.

Tokens are drawn in the shapes of ``lite`` and stored, task after task: nothing is downloaded, and learning reads the
store. With ``--data FOLDER`` they are those of a person's own files, which go through the stem first; the items and
classes are then the folder's, in about ten tasks a modality. Beside it a bare loop multiplies lifted features of the
last task into one Gram matrix, with the same threads, in the same process: the least that a regression on these
features has to do. The loop's lifting isn't in its seconds; the method's is, and so is reading. Seconds are the
processor's, of all threads together, so that what else the machine does counts little.

Each row is measured in a process of its own, so that its peak memory is its own; pages of the store that the system
keeps at hand are part of it. Exit status 1 where a bound is missed.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from recording import record
from rich.console import Console
from rich.table import Table
from torch import Tensor
from torch.nn import functional

from remodal.adaptation.rows import Rows, mean
from remodal.backbones import CHUNK, Backbone
from remodal.backbones.lite.lite import Lite
from remodal.cache import cache_folder
from remodal.features.store import FeatureStore
from remodal.learning.prepare import prepare
from remodal.learning.results import peak_memory_bytes
from remodal.methods import methods
from remodal.methods.base import TaskData
from remodal.methods.remodal import Remodal
from remodal.streams import stream
from remodal.streams.base import Column, Stream
from remodal.training.seeding import generator
from remodal.training.trainer import Trainer

METHODS = ("remodal", "nearest-mean")
SIZES = ("1000/200", "10000/200", "100000/200", "10000/1000", "10000/10000")
TASKS = 10
MODALITY = "image"
BARE = 2 * CHUNK
"""Items of a task that the bare loop multiplies, at most."""
NOISE = 2.0
"""Of an item, in units of what tells classes apart."""
SCORED = 256
"""Items that are scored at the end, over all classes."""
MOST_TIMES, MOST_BYTES = 1.5, 3e9
"""What learning may cost over the bare loop, and the process's peak memory."""
FEW = 200
"""Classes up to which learning is held against the bare loop, which knows of none."""


class Drawn(Lite):
    """``lite`` whose names have places of their own, drawn: 10,000 sentences through a network aren't measured here."""

    def embed_name(self, name: str) -> Tensor:
        """A unit vector."""
        return functional.normalize(torch.randn(self.width, generator=generator(0, "name", name)), dim=0)


def drawn_tasks(items: int, classes: int, backbone: Backbone, tasks: int = TASKS) -> Iterator[TaskData]:
    """``items`` of ``classes``; each task is of new classes and in a store of its own, drawn a chunk at a time."""
    tower, size, new = backbone.tower(MODALITY), items // tasks, classes // tasks
    labels = torch.arange(size) * new // size  # one class after the other
    for index in range(tasks):
        draws = generator(0, "task", index)
        means = torch.randn(new, 4, tower.width, generator=draws)
        keys = [f"{index}/{position}".encode() for position in range(size)]
        with TemporaryDirectory() as folder, FeatureStore(Path(folder)) as store:
            for rows in torch.split(torch.arange(size), CHUNK):
                frames = means[labels[rows]] + NOISE * torch.randn(len(rows), 4, tower.width, generator=draws)
                store.put({keys[row]: frame[None].half().numpy() for row, frame in zip(rows, frames, strict=True)})
            columns = tuple(Column(MODALITY, f"kind {index * new + position}") for position in range(new))
            yield TaskData(index, columns, store.tokens(tower.name, keys, [1] * size), labels)


def own_stream(folder: str) -> Stream:
    """The folder's files, the classes of each modality in about ten tasks."""
    classes = {Column(task.modality, name) for task in stream(folder) for name in task.classes}
    most = max(sum(column.modality == modality for column in classes) for modality, _ in classes)
    return stream(folder, classes_per_task=-(-most // TASKS))


def stored_tasks(folder: str, backbone: Backbone) -> Iterator[TaskData]:
    """What there is to learn of the folder, after the stem pass."""
    with FeatureStore(cache_folder() / "features") as store:
        prepared = prepare(own_stream(folder), backbone, store)
    return (step.train for step in prepared.steps if step.train is not None)


class BareLoop:
    """Multiplies lifted features into one Gram matrix."""

    def __init__(self, backbone: Backbone, task: TaskData) -> None:
        self._task, self._tower = task, backbone.tower(task.modality)
        self._lift = Remodal(backbone, Remodal.options(), 0).lift(self._tower)
        self._centre = mean(Rows(task.tokens, self._tower.features))
        self._gram = torch.zeros(self._lift.width, self._lift.width)

    def seconds(self) -> float:
        """An item of the task."""
        spent, done = 0.0, min(BARE, len(self._task.labels))
        for tokens in self._task.tokens[:done].batches(CHUNK):
            lifted = self._lift.lifted(self._tower.features(tokens), self._centre)
            started = time.process_time()
            self._gram.addmm_(lifted.T, lifted)
            spent += time.process_time() - started
        return spent / done


def measured(name: str, backbone: Backbone, tasks: Iterator[TaskData]) -> dict[str, Any]:
    """One row, in this process: what the method ``name`` takes to learn ``tasks``."""
    kind = methods.get(name)
    method = kind(backbone, kind.options(), 0)
    columns: list[Column] = []
    learn: list[float] = []
    sizes: list[int] = []
    for task in tasks:
        columns += task.columns
        backbone.anchors(task.classes)  # a name is embedded once, whatever learns it
        started = time.process_time()
        method.learn(task, Trainer(0, task.index))
        learn.append(time.process_time() - started)
        sizes.append(len(task.labels))
    peak = peak_memory_bytes()  # before the bare loop's own Gram matrix
    loop = BareLoop(backbone, task)
    bare = min(loop.seconds() for _ in range(3))
    asked, truth = task.tokens[:SCORED], task.labels[:SCORED] + len(columns) - len(task.columns)
    started = time.process_time()
    with torch.inference_mode():
        right = float((method.scores(asked, columns).argmax(1) == truth).float().mean())
    return {
        "method": name,
        "items": sum(sizes),
        "classes": len(columns),
        "learn_ms_item": 1e3 * sum(learn) / sum(sizes),
        "last_task_ms_item": 1e3 * learn[-1] / sizes[-1],
        "bare_ms_item": 1e3 * bare,
        "score_ms_item": 1e3 * (time.process_time() - started) / len(truth),
        "state_bytes_class": sum(tensor.nbytes for tensor in method.state().tensors.values()) / len(columns),
        "peak_bytes": peak,
        "right": right,
    }


def missed(row: dict[str, Any]) -> list[str]:
    """The bounds that a row misses."""
    too_slow = row["learn_ms_item"] > MOST_TIMES * row["bare_ms_item"]
    bounds = {
        f"over {MOST_TIMES} times the bare loop": too_slow and row["classes"] <= FEW,
        f"over {MOST_BYTES / 1e9:.0f} GB": row["peak_bytes"] > MOST_BYTES,
    }
    return [bound for bound, is_missed in bounds.items() if is_missed]


def main() -> int:
    """Measure every method at every size; print and record; 1 where a bound is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--methods", nargs="*", default=METHODS)
    parser.add_argument("--sizes", nargs="*", default=SIZES, metavar="ITEMS/CLASSES", help=" ".join(SIZES))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--data", metavar="FOLDER", help="learn this folder's files in place of drawn tokens")
    parser.add_argument("--row", metavar="METHOD", help="one row of one size, as JSON")
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    if asked.row:
        backbone = Lite(cache_folder()) if asked.data else Drawn(cache_folder())
        if asked.data:
            tasks = stored_tasks(asked.data, backbone)
        else:
            items, classes = map(int, asked.sizes[0].split("/"))
            tasks = drawn_tasks(items, classes, backbone)
        print(json.dumps(measured(asked.row, backbone, tasks)))
        return 0
    rows = []
    which = [["--data", asked.data]] if asked.data else [["--sizes", size] for size in asked.sizes]
    for method, size in product(asked.methods, which):
        command = [sys.executable, __file__, "--threads", str(asked.threads), "--row", method, *size]
        found = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        rows.append(json.loads(found.stdout))
        print(found.stdout, file=sys.stderr)
    table = Table(
        "method", "items", "classes", "ms an item", "last task", "bare", "times", "ms a class", "KB", "peak, GB"
    )
    for row in rows:
        figures = [row["learn_ms_item"], row["last_task_ms_item"], row["bare_ms_item"], row["learn_ms_item"]]
        figures[3] /= row["bare_ms_item"]
        a_class = row["learn_ms_item"] * row["items"] / row["classes"], row["state_bytes_class"] / 1e3
        sizes = f"{row['items']:,}", f"{row['classes']:,}"
        shown = *(f"{figure:.2f}" for figure in figures), *(f"{figure:.0f}" for figure in a_class)
        table.add_row(row["method"], *sizes, *shown, f"{row['peak_bytes'] / 1e9:.2f}")
    console = Console(width=110)
    console.print(table)
    bad = [(row, bound) for row in rows for bound in missed(row)]
    for row, bound in bad:
        console.print(f"[red]{row['method']}, {row['items']:,} items, {row['classes']:,} classes: {bound}")
    record("large", {"threads": asked.threads, "tasks": TASKS, "rows": rows})
    return int(bool(bad))


if __name__ == "__main__":
    sys.exit(main())
