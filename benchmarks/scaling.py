"""What a task costs as tasks go by: seconds and bytes over 100 tasks of a synthetic stream.

Tokens are drawn, not computed, in the shapes of ``lite``: a class is a direction, an item is the class plus noise. The
tasks take turns through the five modalities. Seconds to learn a task and bytes of learned state are fitted by straight
lines over the number of tasks; the parts of ``comm`` are timed apart, and a figure shows all of it. What may grow is
what goes with the number of classes.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import torch
from matplotlib.figure import Figure
from recording import RESULTS, record
from rich.console import Console
from rich.table import Table

from remodal.backbones import Backbone, Tokens, load_backbone
from remodal.features.progress import Counter
from remodal.methods import methods
from remodal.methods.base import Method, TaskData
from remodal.streams.base import Column
from remodal.training.seeding import generator
from remodal.training.trainer import Trainer

METHODS = ("comm", "ridge", "nearest-mean")
MODALITIES = ("image", "text", "depth", "audio", "video")
CLASSES = 2
"""Of each task."""
ITEMS = 20
"""Of each class."""
NOISE = 2.0
"""Of an item, in units of what tells classes apart."""
PROBED = 32
"""Items of each task's modality that are scored after it, over all classes seen."""


class Stopwatch:
    """Progress that keeps the seconds of each stage of learning."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def work(self, name: str, total: int) -> Iterator[Counter]:
        """Time one stage."""
        started = time.perf_counter()
        yield lambda steps=1: None
        self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - started

    def note(self, line: str) -> None:
        """Nothing is shown."""


def synthetic_task(index: int, backbone: Backbone) -> TaskData:
    """Task ``index``: random tokens with class structure, and names that no other task has."""
    modality = MODALITIES[index % len(MODALITIES)]
    tower = backbone.tower(modality)
    frames = 2 if modality == "video" else 1
    width = tower.width
    shared = torch.randn(4, width, generator=generator(0, "modality", modality))
    means = shared + torch.randn(CLASSES, 1, 4, width, generator=generator(0, "classes", index))
    noise = torch.randn(CLASSES, ITEMS * frames, 4, width, generator=generator(0, "items", index))
    tokens = (means + NOISE * noise).flatten(0, 1).half()
    names = tuple(f"kind {index * CLASSES + position}" for position in range(CLASSES))
    labels = torch.arange(CLASSES).repeat_interleave(ITEMS)
    return TaskData(index, modality, names, Tokens(tower.name, tokens, torch.full((len(labels),), frames)), labels)


def cost_of_a_stream(method: Method, tasks: list[TaskData]) -> list[dict[str, Any]]:
    """What each task costs ``method``."""
    costs: list[dict[str, Any]] = []
    seen: list[Column] = []
    for task in tasks:
        stopwatch = Stopwatch()
        started = time.perf_counter()
        method.learn(task, Trainer(0, task.index, progress=stopwatch))
        learned = time.perf_counter()
        seen += task.columns
        method.scores(task.tokens[:PROBED], seen)
        scored = time.perf_counter()
        state = method.state()
        parts = dict(stopwatch.seconds)
        parts["other"] = learned - started - sum(parts.values())
        costs.append(
            {
                "classes": len(seen),
                "learn": learned - started,
                "score": scored - learned,
                "bytes": sum(tensor.numel() * tensor.element_size() for tensor in state.tensors.values()),
                "parts": parts,
            }
        )
    return costs


def slope(values: list[float]) -> tuple[float, float]:
    """Growth a task and value at the first task of a straight line, by Theil and Sen: robust to a busy machine."""
    y = np.asarray(values)
    first, second = np.triu_indices(len(y), 1)
    growth = float(np.median((y[second] - y[first]) / (second - first)))
    return growth, float(np.median(y - growth * np.arange(len(y))))


def draw(found: dict[str, list[dict[str, Any]]], path: Path) -> None:
    """Seconds, bytes, and the parts of comm's seconds over the tasks."""
    mpl.rcParams.update({"font.size": 9, "axes.spines.top": False, "axes.spines.right": False})
    figure = Figure(figsize=(12, 3.8), layout="constrained")
    learn, held, parts = figure.subplots(1, 3)
    for name, costs in found.items():
        tasks = range(1, len(costs) + 1)
        learn.plot(tasks, [cost["learn"] for cost in costs], ".", markersize=3, label=name)
        held.plot(tasks, [cost["bytes"] / 1e6 for cost in costs], label=name)
    stages = sorted({stage for cost in found["comm"] for stage in cost["parts"]})
    for stage in stages:
        spent = [cost["parts"].get(stage, 0.0) for cost in found["comm"]]
        parts.plot(range(1, len(spent) + 1), spent, ".", markersize=3, label=stage)
    learn.set(title="seconds to learn a task", xlabel="task", yscale="log")
    held.set(title="learned state, MB", xlabel="task", ylim=(0, None))
    parts.set(title="comm: seconds of its parts", xlabel="task", ylim=(0, None))
    for axes in (learn, held, parts):
        axes.legend(frameon=False, markerscale=3)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)


def main() -> None:
    """Run the stream through each method, print the slopes, record and draw them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, default=100)
    parser.add_argument("--cache", type=Path, required=True, help="folder of exported graphs")
    arguments = parser.parse_args()
    backbone = load_backbone("lite", arguments.cache)
    tasks = [synthetic_task(index, backbone) for index in range(arguments.tasks)]
    for task in tasks:
        backbone.anchors(task.classes)  # each name is embedded once, here and not in a task's seconds
    found = {}
    for name in METHODS:
        kind = methods.get(name)
        found[name] = cost_of_a_stream(kind(backbone, kind.options(), 0), tasks)
    last = len(tasks)
    table = Table("method", "cost", "task 1", f"task {last}", "growth a task", title="straight lines over the tasks")
    lines: dict[str, dict[str, Any]] = {}
    for name, costs in found.items():
        series = {
            "learn, ms": [1e3 * cost["learn"] for cost in costs],
            **{
                f"  {stage}, ms": [1e3 * cost["parts"].get(stage, 0.0) for cost in costs]
                for stage in sorted({stage for cost in costs for stage in cost["parts"]} - {"other"})
            },
            f"score {PROBED} items, ms": [1e3 * cost["score"] for cost in costs],
            "state, KB": [cost["bytes"] / 1e3 for cost in costs],
        }
        lines[name] = {}
        for what, values in series.items():
            growth, start = slope(values)
            end = start + growth * (last - 1)
            lines[name][what.strip()] = {"first": start, "last": end, "growth": growth}
            table.add_row(name, what, f"{start:.1f}", f"{end:.1f}", f"{growth:+.3f}")
    Console(width=100).print(table)
    draw(found, RESULTS / "scaling.png")
    settings = {"tasks": last, "classes_per_task": CLASSES, "items_per_class": ITEMS, "modalities": MODALITIES}
    record("scaling", {**settings, "lines": lines, "costs": found})


if __name__ == "__main__":
    main()
