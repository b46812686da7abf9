"""Several houses learn apart and are merged: does the model know what one that saw everything knows?

All begin from a model that has learned the first task of each modality. What comes then is divided over four houses:
each has a share of every task's items (``items``), or whole tasks of its own (``tasks``). Accuracy on held-out items,
the modality not given: of a house alone (mean of the four), of what is merged of them, and of one that learned all.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any, TypeVar

import torch
from arguments import asked
from recording import record

from remodal.cache import cache_folder
from remodal.comparison.statistics import t_interval
from remodal.learning.evaluate import accuracy
from remodal.learning.opening import open_stream_for
from remodal.learning.prepare import PreparedStream
from remodal.learning.settings import RunSettings
from remodal.methods import Method, methods
from remodal.methods.additive import Additive
from remodal.methods.base import TaskData
from remodal.streams.base import Column
from remodal.training.seeding import generator, shuffled
from remodal.training.threads import bound_spinning
from remodal.training.trainer import Trainer

HOUSES = 4
METHODS = ("remodal", "nearest-mean")
Learner = TypeVar("Learner", bound=Method)
Divide = Callable[[Sequence[TaskData], int], list[list[TaskData]]]


def by_items(tasks: Sequence[TaskData], seed: int) -> list[list[TaskData]]:
    """Each house has a share of every task's items."""
    houses: list[list[TaskData]] = [[] for _ in range(HOUSES)]
    for task in tasks:
        order = shuffled(len(task.labels), generator(seed, "houses", task.index))
        for house, rows in zip(houses, order.chunk(HOUSES), strict=False):
            house.append(task.part(rows.sort().values))
    return houses


def by_tasks(tasks: Sequence[TaskData], seed: int) -> list[list[TaskData]]:
    """Each house has whole tasks of its own."""
    return [list(tasks[house::HOUSES]) for house in range(HOUSES)]


def taught(method: Learner, tasks: Sequence[TaskData], seed: int) -> Learner:
    """``method`` after ``tasks``."""
    for task in tasks:
        method.learn(task, Trainer(seed, task.index))
    return method


def agnostic(method: Method, prepared: PreparedStream) -> float:
    """Mean over the tasks, among all classes that the method can score; a class that it can't is never its answer."""
    columns: list[Column] = [column for task in prepared.tasks for column in task.columns]
    return fmean(accuracy(method, task, columns).agnostic or 0.0 for task in prepared.tasks)


def measured(name: str, prepared: PreparedStream, backbone: Any, seed: int, divide: Divide) -> dict[str, float]:
    """Accuracy of a house, of all merged, and of one that learned everything."""
    tasks = [task.train for task in prepared.tasks]
    first = {task.modality: task for task in reversed(tasks)}
    beginning = sorted(first.values(), key=lambda task: task.index)
    rest = [task for task in tasks if task not in beginning]
    chosen = methods.get(name)

    def made() -> Additive[Any]:
        method = chosen(backbone, chosen.options(), seed)
        assert isinstance(method, Additive)
        return method

    base = taught(made(), beginning, seed)

    def begun() -> Additive[Any]:
        method = made()
        method.restore(base.state())
        return method

    houses = [taught(begun(), own, seed) for own in divide(rest, seed)]
    merged = houses[0].merged(*houses[1:], base=base)
    whole = taught(begun(), rest, seed)
    alone = fmean(agnostic(house, prepared) for house in houses)
    return {"alone": alone, "merged": agnostic(merged, prepared), "whole": agnostic(whole, prepared)}


def main() -> None:
    """Print a line for each stream, method and division, and record all."""
    given = asked(__doc__)
    bound_spinning()
    torch.set_num_threads(1)
    every: dict[str, dict[str, Any]] = {}
    for stream in given.stream:
        found: dict[str, list[dict[str, float]]] = defaultdict(list)
        for seed in given.seeds:
            backbone, prepared = open_stream_for(RunSettings(stream=stream, seed=seed), cache_folder())
            for name in METHODS:
                for kind, divide in (("items", by_items), ("tasks", by_tasks)):
                    found[f"{name}, {kind}"].append(measured(name, prepared, backbone, seed, divide))
        every[Path(stream).name] = {}
        for what, ones in found.items():
            less = t_interval([one["merged"] - one["whole"] for one in ones])
            means = {key: round(fmean(one[key] for one in ones), 4) for key in ("alone", "merged", "whole")}
            half = None if less.half is None else round(less.half, 4)
            every[Path(stream).name][what] = {**means, "merged - whole": round(less.mean, 4), "±": half}
            told = "  ".join(f"{key} {value:.3f}" for key, value in means.items())
            print(f"{Path(stream).name}: {what:22} {told}  merged - whole {100 * less.mean:+.1f} points")
    record("merging", every)


if __name__ == "__main__":
    main()
