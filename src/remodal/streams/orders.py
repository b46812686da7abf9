"""From items to tasks, the order in which the tasks come, and the steps in which their items are delivered."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from remodal.registry import Registry
from remodal.streams.base import Item, Step, Task
from remodal.streams.delivery import at_once, in_turns, returning, whole


class Order(NamedTuple):
    """How tasks and their items come. Both functions draw from the generator alone.

    arrange: takes the tasks of each modality and puts them all in one line. deliver: takes the line, each task with its
    place in it as its index, and gives the steps; these complete the tasks in the order of the line.
    """

    arrange: Callable[[Mapping[str, Sequence[Task]], np.random.Generator], list[Task]]
    deliver: Callable[[Sequence[Task], np.random.Generator], list[Step]]


class Schedule(NamedTuple):
    """Tasks in the order in which they are complete, and the steps that complete them."""

    tasks: tuple[Task, ...]
    steps: tuple[Step, ...]


def interleave(tasks: Mapping[str, Sequence[Task]], generator: np.random.Generator) -> list[Task]:
    """The modalities' tasks interleave at random."""
    every = [task for of_modality in tasks.values() for task in of_modality]
    return [every[position] for position in generator.permutation(len(every))]


def one_by_one(tasks: Mapping[str, Sequence[Task]], generator: np.random.Generator) -> list[Task]:
    """All tasks of one modality, then all of the next; which modality comes when is random."""
    modalities = list(tasks)
    return [task for position in generator.permutation(len(modalities)) for task in tasks[modalities[position]]]


def in_groups(tasks: Mapping[str, Sequence[Task]], generator: np.random.Generator) -> list[Task]:
    """As :func:`interleave`, but tasks that come at once (:func:`~remodal.streams.delivery.at_once`) side by side."""
    return [task for group in at_once(interleave(tasks, generator)) for task in group]


ORDERS = Registry[Order]("order")
ORDERS.add("random")(Order(interleave, whole))
ORDERS.add("sequential")(Order(one_by_one, whole))
ORDERS.add("mixed")(Order(in_groups, in_turns))
ORDERS.add("blurry")(Order(interleave, returning))


def make_schedule(items: Iterable[Item], *, order: str, seed: int, classes_per_task: int) -> Schedule:
    """Cut the classes of each modality into tasks, put the tasks in order, and deliver their items in steps.

    A class is a label in one modality; it is in one task with all its items. Where items state their task,
    these tasks are kept; elsewhere the classes are shuffled and cut. Only the seed and the items themselves
    decide, not how the items are sorted. A modality's tasks are the same in every order, whatever other
    modalities there are.

    Args:
        items: Items of any modalities.
        order: A name in :data:`ORDERS`.
        seed: Of every draw, at least 0.
        classes_per_task: How many classes a task has, if their number allows it (:func:`task_sizes`).

    Raises:
        UnknownName: There is no such order.
    """
    chosen = ORDERS.get(order)
    modalities: dict[str, list[Item]] = defaultdict(list)
    for item in sorted(items, key=lambda item: item.id):
        modalities[item.modality].append(item)
    tasks = {name: _tasks_of(name, modalities[name], seed, classes_per_task) for name in sorted(modalities)}
    generator = np.random.default_rng(seed)
    line = tuple(replace(task, index=index) for index, task in enumerate(chosen.arrange(tasks, generator)))
    return Schedule(line, tuple(chosen.deliver(line, generator)))


def task_sizes(classes: int, classes_per_task: int) -> list[int]:
    """How many classes each task gets: as even as can be, and no task of one class unless one is asked for.

    >>> task_sizes(20, 4), task_sizes(14, 4), task_sizes(5, 4), task_sizes(3, 2), task_sizes(3, 1)
    ([4, 4, 4, 4, 4], [4, 4, 3, 3], [3, 2], [3], [1, 1, 1])
    """
    fewest = min(classes_per_task, 2)
    tasks = max(1, min(-(-classes // classes_per_task), classes // fewest))
    size, larger = divmod(classes, tasks)
    return [size + (position < larger) for position in range(tasks)]


def _tasks_of(modality: str, items: Sequence[Item], seed: int, classes_per_task: int) -> list[Task]:
    """The tasks of one modality in a random order, numbered from 0."""
    classes: dict[str, list[Item]] = defaultdict(list)
    for item in items:
        classes[item.label].append(item)
    generator = np.random.default_rng([seed, *modality.encode()])
    names = sorted(classes)
    shuffled = [names[position] for position in generator.permutation(len(names))]
    if any(item.task for item in items):
        stated: dict[str, list[str]] = defaultdict(list)
        for name in shuffled:
            stated[classes[name][0].task].append(name)
        groups = list(stated.values())
    else:
        rest = iter(shuffled)
        groups = [[next(rest) for _ in range(size)] for size in task_sizes(len(shuffled), classes_per_task)]
    return [
        Task(
            index=index,
            modality=modality,
            classes=tuple(group),
            train=tuple(item for name in group for item in classes[name] if item.split == "train"),
            test=tuple(item for name in group for item in classes[name] if item.split == "test"),
        )
        for index, group in enumerate(groups)
    ]
