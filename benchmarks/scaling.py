"""What a task costs as tasks go by: seconds and bytes over 100 tasks of a synthetic stream.

Tokens are drawn, not computed, in the shapes of ``lite``: a class is a direction, an item is the class plus noise. The
tasks take turns through the five modalities. Seconds are the processor's, of one thread, so that other work on the
machine hardly counts. There are two streams: every task brings new classes, or the tasks after
the first ten bring new items of the ten's classes. Seconds to learn a task and bytes of learned state are fitted by
straight lines once every modality has been met a few times. On the second stream they must be flat: exit status 1 where
the bytes, or the seconds of a method that takes more than ``NOTICED``, grow by more than ``TOLERANCE`` from its first
task to its last. On the first one, what grows is what goes with the number of classes; ``comm``'s parts are timed apart
to show where. All of it is drawn.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib as mpl
import numpy as np
import torch
from matplotlib.figure import Figure
from recording import RESULTS, record
from rich.console import Console
from rich.table import Table

from remodal.backbones import Backbone, Tokens, load_backbone
from remodal.cache import cache_folder
from remodal.features.progress import Counter
from remodal.methods import methods
from remodal.methods.base import Method, TaskData
from remodal.streams.base import Column
from remodal.training.seeding import generator
from remodal.training.trainer import Trainer

METHODS: dict[str, dict[str, Any]] = {"comm": {}, "ridge": {"width": 500}, "nearest-mean": {}}
"""Names and settings; at its default width, ridge costs the same again for every task, only more."""
MODALITIES = ("image", "text", "depth", "audio", "video")
STREAMS = {"new classes": 1 << 30, "the same classes": 10}
"""After how many tasks a stream's classes come again."""
SETTLED = 25
"""The task from which on lines are fitted: by then each modality was learned five times."""
TOLERANCE = {"learn, ms": 0.25, "state, KB": 0.01}
"""Growth over the stream, as a share; seconds vary a little with what else the machine does."""
NOTICED = 20.0
"""Milliseconds a task; what takes less isn't judged."""
CLASSES = 2
"""Of each task."""
ITEMS = 20
"""Of each class."""
NOISE = 2.0
"""Of an item, in units of what tells classes apart."""
PROBED = 32
"""Items of a task that are scored after it, over all classes seen."""

Costs = list[dict[str, Any]]


class Stopwatch:
    """Progress that keeps the seconds of each stage of learning."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def work(self, name: str, total: int) -> Iterator[Counter]:
        """Time one stage."""
        started = time.process_time()
        yield lambda steps=1: None
        self.seconds[name] = self.seconds.get(name, 0.0) + time.process_time() - started

    def note(self, line: str) -> None:
        """Nothing is shown."""


def synthetic_task(index: int, period: int, backbone: Backbone) -> TaskData:
    """Task ``index``: random tokens with class structure; its items are new, classes come every ``period`` tasks."""
    modality, kind = MODALITIES[index % len(MODALITIES)], index % period
    tower = backbone.tower(modality)
    frames = 2 if modality == "video" else 1
    shared = torch.randn(4, tower.width, generator=generator(0, "modality", modality))
    means = shared + torch.randn(CLASSES, 1, 4, tower.width, generator=generator(0, "classes", kind))
    noise = torch.randn(CLASSES, ITEMS * frames, 4, tower.width, generator=generator(0, "items", index))
    tokens = (means + NOISE * noise).flatten(0, 1).half()
    columns = tuple(Column(modality, f"kind {kind * CLASSES + position}") for position in range(CLASSES))
    labels = torch.arange(CLASSES).repeat_interleave(ITEMS)
    return TaskData(index, columns, Tokens(tower.name, tokens, torch.full((len(labels),), frames)), labels)


def new(name: str, backbone: Backbone) -> Method:
    """A method that has learned nothing."""
    kind = methods.get(name)
    return kind(backbone, kind.options.checked(METHODS[name]), 0)


def cost_of_a_stream(method: Method, tasks: Iterable[TaskData]) -> Costs:
    """What each task costs ``method``."""
    costs: Costs = []
    seen: dict[Column, None] = {}
    for task in tasks:
        stopwatch = Stopwatch()
        started = time.process_time()
        method.learn(task, Trainer(0, task.index, progress=stopwatch))
        learned = time.process_time()
        seen.update(dict.fromkeys(task.columns))
        method.scores(task.tokens[:PROBED], list(seen))
        scored = time.process_time()
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


class Line(NamedTuple):
    """A straight line over the tasks: its value at task ``SETTLED`` and at the last one, and its growth a task."""

    start: float
    end: float
    growth: float

    @property
    def share(self) -> float:
        """Growth from start to end as a share of the start."""
        return (self.end - self.start) / max(self.start, 1e-9)


def fit(values: list[float]) -> Line:
    """By Theil and Sen: the median slope of all pairs, robust to a busy machine."""
    settled = np.asarray(values[SETTLED:])
    first, second = np.triu_indices(len(settled), 1)
    growth = float(np.median((settled[second] - settled[first]) / (second - first)))
    start = float(np.median(settled - growth * np.arange(len(settled))))
    return Line(start, start + growth * (len(settled) - 1), growth)


def lines(costs: Costs) -> dict[str, Line]:
    """What is fitted of one method on one stream."""
    stages = sorted({stage for cost in costs for stage in cost["parts"]} - {"other"})
    return {
        "learn, ms": fit([1e3 * cost["learn"] for cost in costs]),
        **{f"  {stage}, ms": fit([1e3 * cost["parts"].get(stage, 0.0) for cost in costs]) for stage in stages},
        f"score {PROBED} items, ms": fit([1e3 * cost["score"] for cost in costs]),
        "state, KB": fit([cost["bytes"] / 1e3 for cost in costs]),
    }


def grows(fitted: dict[str, Line]) -> list[str]:
    """What grows although the classes stay the same."""
    learn = fitted["learn, ms"]
    judged = ["state, KB"] if learn.start < NOTICED else list(TOLERANCE)
    return [what for what in judged if fitted[what].share > TOLERANCE[what]]


def draw(found: dict[str, dict[str, Costs]], path: Path) -> None:
    """A row a stream: seconds, bytes, and the parts of comm's seconds over the tasks."""
    mpl.rcParams.update({"font.size": 9, "axes.spines.top": False, "axes.spines.right": False})
    figure = Figure(figsize=(12, 7), layout="constrained")
    for row, (stream, by_method) in zip(figure.subplots(len(found), 3, sharey="col"), found.items()):
        learn, held, parts = row
        for name, costs in by_method.items():
            tasks = range(1, len(costs) + 1)
            learn.plot(tasks, [cost["learn"] for cost in costs], ".", markersize=3, label=name)
            held.plot(tasks, [cost["bytes"] / 1e6 for cost in costs], label=name)
        for stage in sorted({stage for cost in by_method["comm"] for stage in cost["parts"]}):
            spent = [cost["parts"].get(stage, 0.0) for cost in by_method["comm"]]
            parts.plot(range(1, len(spent) + 1), spent, ".", markersize=3, label=stage)
        learn.set(title=f"{stream}: seconds to learn a task", xlabel="task", yscale="log", ylim=(None, 10))
        held.set(title=f"{stream}: learned state, MB", xlabel="task", ylim=(0, None))
        parts.set(title=f"{stream}: seconds of comm's parts", xlabel="task", ylim=(0, None))
        parts.margins(y=0.25)
        for axes in row:
            axes.legend(frameon=False, markerscale=3, loc="center right" if axes is held else "upper left", ncols=2)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)


def main() -> int:
    """Run both streams through each method; print, record and draw what was found; 1 where something grows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, default=100)
    arguments = parser.parse_args()
    if arguments.tasks < 2 * SETTLED:
        parser.error(f"--tasks: found {arguments.tasks}; valid: {2 * SETTLED} or more")
    torch.set_num_threads(1)  # the tensors are small: threads would wait for each other most of the time
    backbone = load_backbone("lite", cache_folder())
    # what torch loads when it is first used isn't a task's cost
    cost_of_a_stream(new("comm", backbone), [synthetic_task(0, 1, backbone)])
    found: dict[str, dict[str, Costs]] = {}
    for stream, period in STREAMS.items():
        tasks = [synthetic_task(index, period, backbone) for index in range(arguments.tasks)]
        for task in tasks:
            backbone.anchors(task.classes)  # each name is embedded once, here and not in a task's seconds
        found[stream] = {name: cost_of_a_stream(new(name, backbone), tasks) for name in METHODS}
    fitted = {stream: {name: lines(costs) for name, costs in by.items()} for stream, by in found.items()}
    bad = {name: grows(by) for name, by in fitted["the same classes"].items() if grows(by)}
    table = Table("stream", "method", "cost", f"task {SETTLED}", f"task {arguments.tasks}", "growth a task")
    for stream, by_method in fitted.items():
        for name, by_cost in by_method.items():
            for what, line in by_cost.items():
                shown = f"{line.growth:+.3f} ({line.share:+.0%})"
                table.add_row(stream, name, what, f"{line.start:.1f}", f"{line.end:.1f}", shown)
    console = Console(width=110)
    console.print(table)
    for name, growing in bad.items():
        console.print(f"[red]{name} grows with the tasks although the classes stay the same: {', '.join(growing)}")
    draw(found, RESULTS / "scaling.png")
    settings = {"tasks": arguments.tasks, "classes_per_task": CLASSES, "items_per_class": ITEMS, "methods": METHODS}
    as_json = {
        stream: {name: {what.strip(): line._asdict() for what, line in by.items()} for name, by in methods_.items()}
        for stream, methods_ in fitted.items()
    }
    record("scaling", {**settings, "threads": 1, "lines": as_json, "costs": rounded(found)})
    return int(bool(bad))


def rounded(found: dict[str, dict[str, Costs]]) -> dict[str, dict[str, dict[str, list[float]]]]:
    """Seconds and bytes of each task, for the record."""
    return {
        stream: {
            name: {key: [round(cost[key], 4) for cost in costs] for key in ("learn", "score", "bytes")}
            for name, costs in by_method.items()
        }
        for stream, by_method in found.items()
    }


if __name__ == "__main__":
    sys.exit(main())
