"""Does learning stay linear in time and flat in memory? Up to a hundred thousand items of many classes, in ten tasks.

Tokens are drawn in the shapes of ``lite``: nothing is read or downloaded. Beside it a bare loop multiplies lifted
features of the last task into one Gram matrix, with the same threads, in the same process: the least that a regression
on these features has to do. The loop's lifting isn't in its seconds; the method's is. Seconds are the processor's, of
all threads together, so that what else the machine does counts little.

Each row is measured in a process of its own, so that its peak memory is its own. Exit status 1 where a bound is missed.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from itertools import product
from typing import Any

import torch
from recording import record
from rich.console import Console
from rich.table import Table
from torch import Tensor
from torch.nn import functional

from remodal.backbones import CHUNK, Backbone, Tokens
from remodal.backbones.lite import Lite
from remodal.cache import cache_folder
from remodal.learning.results import peak_memory_bytes
from remodal.methods import methods
from remodal.methods.base import TaskData
from remodal.methods.remodal import Remodal
from remodal.streams.base import Column
from remodal.training.seeding import generator
from remodal.training.trainer import Trainer

METHODS = ("remodal", "nearest-mean")
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


class Drawn(Lite):
    """``lite`` whose names have places of their own, drawn: 10,000 sentences through a network aren't measured here."""

    def embed_name(self, name: str) -> Tensor:
        """A unit vector."""
        return functional.normalize(torch.randn(self.width, generator=generator(0, "name", name)), dim=0)


def drawn_task(index: int, items: int, classes: int, backbone: Backbone) -> TaskData:
    """Task ``index``: ``items`` of ``classes`` new classes, one class after the other."""
    tower = backbone.tower(MODALITY)
    draws = generator(0, "task", index)
    means = torch.randn(classes, 4, tower.width, generator=draws)
    labels = torch.arange(items) * classes // items
    frames = torch.empty(items, 4, tower.width, dtype=torch.float16)
    for rows in torch.split(torch.arange(items), CHUNK):
        frames[rows] = (means[labels[rows]] + NOISE * torch.randn(len(rows), 4, tower.width, generator=draws)).half()
    names = tuple(f"kind {index * classes + position}" for position in range(classes))
    return TaskData(index, MODALITY, names, Tokens(tower.name, frames, torch.ones(items, dtype=torch.int64)), labels)


class BareLoop:
    """Multiplies lifted features into one Gram matrix."""

    def __init__(self, backbone: Backbone) -> None:
        self._lift = Remodal(backbone, Remodal.options(), 0)
        self._tower = backbone.tower(MODALITY)
        self._gram = torch.zeros(0)

    def seconds(self, task: TaskData) -> float:
        """An item of ``task``."""
        spent, done = 0.0, min(BARE, len(task.labels))
        fresh = self._lift.fresh_modality(self._tower, task)
        for tokens in task.tokens[:done].batches(CHUNK):
            lifted = self._lift.lifted(fresh, self._tower, self._tower.features(tokens))
            if not len(self._gram):
                self._gram = torch.zeros(lifted.shape[1], lifted.shape[1])
            started = time.process_time()
            self._gram.addmm_(lifted.T, lifted)
            spent += time.process_time() - started
        return spent / done


def measured(name: str, items: int, classes: int) -> dict[str, Any]:
    """One row, in this process: ``items`` of ``classes`` in ten tasks learned by the method ``name``."""
    backbone = Drawn(cache_folder())
    kind = methods.get(name)
    method = kind(backbone, kind.options(), 0)
    columns: list[Column] = []
    learn: list[float] = []
    for index in range(TASKS):
        task = drawn_task(index, items // TASKS, classes // TASKS, backbone)
        columns += task.columns
        backbone.anchors(task.classes)  # a name is embedded once, whatever learns it
        started = time.process_time()
        method.learn(task, Trainer(0, index))
        learn.append((time.process_time() - started) / len(task.labels))
    peak = peak_memory_bytes()  # before the bare loop's own Gram matrix
    loop = BareLoop(backbone)
    bare = [loop.seconds(task) for _ in range(3)]
    asked, truth = task.tokens[:SCORED], task.labels[:SCORED] + len(columns) - len(task.columns)
    started = time.process_time()
    with torch.inference_mode():
        right = float((method.scores(asked, columns).argmax(1) == truth).float().mean())
    return {
        "method": name,
        "items": items,
        "classes": classes,
        "learn_ms_item": 1e3 * sum(learn) / TASKS,
        "last_task_ms_item": 1e3 * learn[-1],
        "bare_ms_item": 1e3 * min(bare),
        "score_ms_item": 1e3 * (time.process_time() - started) / len(truth),
        "state_bytes_class": sum(tensor.nbytes for tensor in method.state().tensors.values()) / classes,
        "peak_bytes": peak,
        "right": right,
    }


def missed(row: dict[str, Any]) -> list[str]:
    """The bounds that a row misses."""
    bounds = {
        f"over {MOST_TIMES} times the bare loop": row["learn_ms_item"] > MOST_TIMES * row["bare_ms_item"],
        f"over {MOST_BYTES / 1e9:.0f} GB": row["peak_bytes"] > MOST_BYTES,
    }
    return [bound for bound, is_missed in bounds.items() if is_missed]


def main() -> int:
    """Measure every method at every size; print and record; 1 where a bound is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--methods", nargs="*", default=METHODS)
    parser.add_argument("--items", nargs="*", type=int, default=[1_000, 10_000, 100_000])
    parser.add_argument("--classes", nargs="*", type=int, default=[200])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--row", nargs=3, metavar=("METHOD", "ITEMS", "CLASSES"), help="one row, as JSON")
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    if asked.row:
        print(json.dumps(measured(asked.row[0], *map(int, asked.row[1:]))))
        return 0
    rows = []
    for method, items, classes in product(asked.methods, asked.items, asked.classes):
        command = [sys.executable, __file__, "--threads", str(asked.threads), "--row", method, str(items), str(classes)]
        found = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        rows.append(json.loads(found.stdout))
        print(found.stdout, file=sys.stderr)
    table = Table("method", "items", "classes", "ms an item", "last task", "bare", "times", "peak, GB", "KB a class")
    for row in rows:
        figures = [row["learn_ms_item"], row["last_task_ms_item"], row["bare_ms_item"]]
        table.add_row(
            row["method"], f"{row['items']:,}", f"{row['classes']:,}", *(f"{figure:.2f}" for figure in figures),
            f"{figures[0] / figures[2]:.2f}", f"{row['peak_bytes'] / 1e9:.2f}", f"{row['state_bytes_class'] / 1e3:.0f}",
        )  # fmt: skip
    console = Console(width=110)
    console.print(table)
    bad = [f"{row['method']}, {row['items']:,} items: {bound}" for row in rows for bound in missed(row)]
    for line in bad:
        console.print(f"[red]{line}")
    record("large", {"threads": asked.threads, "tasks": TASKS, "rows": rows})
    return int(bool(bad))


if __name__ == "__main__":
    sys.exit(main())
