"""From tasks in a line to the steps in which their training items come."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np

from remodal.streams.base import Item, Step, Task

AT_ONCE = 3
"""Modalities that come at once, at most."""
TURNS = 3
"""Parts that a task is cut into where several come at once."""
HELD_BACK = 30
"""Per cent of a class's items that come with later tasks."""


def whole(tasks: Sequence[Task], generator: np.random.Generator) -> list[Step]:
    """One task after the other, each with all its items; nothing is drawn."""
    return [Step(task.modality, task.train, task.index) for task in tasks]


def in_turns(tasks: Sequence[Task], generator: np.random.Generator) -> list[Step]:
    """The tasks of a group (:func:`at_once`) by turns: a part of the first, of the second, ..., again of the first.

    Each class is in every turn, unless it has fewer items than there are turns: then in the last ones, so that the
    tasks of a group are complete in their order.
    """
    steps = []
    for group in at_once(tasks):
        cut = [_cut(task, generator) for task in group]
        for turn in range(TURNS):
            for task, parts in zip(group, cut, strict=True):
                if parts[turn]:
                    completes = task.index if turn == TURNS - 1 else None
                    steps.append(Step(task.modality, tuple(parts[turn]), completes))
    return steps


def returning(tasks: Sequence[Task], generator: np.random.Generator) -> list[Step]:
    """A step a task, without a part of each class's items: each of these comes with a later task of the modality.

    With which one is drawn. Where no later task has the modality, all items come at once.
    """
    steps = []
    held: dict[int, list[Item]] = defaultdict(list)  # by the index of the task that they come with
    for position, task in enumerate(tasks):
        later = [other.index for other in tasks[position + 1 :] if other.modality == task.modality]
        own: list[Item] = []
        for items in _drawn(task, generator):
            back = len(items) * HELD_BACK // 100 if later else 0
            own += items[back:]
            for item in items[:back]:
                held[later[generator.integers(len(later))]].append(item)
        steps.append(Step(task.modality, (*own, *held[task.index]), task.index))
    return steps


def at_once(line: Sequence[Task]) -> list[list[Task]]:
    """Groups of at most :data:`AT_ONCE` tasks, no two of a modality.

    A group takes the first task in the line and the next ones of other modalities; the tasks between them stay for the
    groups to come. A line of such groups, one after the other, gives the same groups again.
    """
    groups = []
    left = list(line)
    while left:
        group: list[Task] = []
        others: list[Task] = []
        for task in left:
            fits = len(group) < AT_ONCE and all(task.modality != other.modality for other in group)
            (group if fits else others).append(task)
        groups.append(group)
        left = others
    return groups


def _cut(task: Task, generator: np.random.Generator) -> list[list[Item]]:
    """The task's training items in :data:`TURNS` parts that share each class as evenly as can be."""
    parts: list[list[Item]] = [[] for _ in range(TURNS)]
    for items in _drawn(task, generator):
        for turn, part in enumerate(parts):
            part += items[len(items) * turn // TURNS : len(items) * (turn + 1) // TURNS]
    return parts


def _drawn(task: Task, generator: np.random.Generator) -> Iterator[list[Item]]:
    """The training items of each class of a task, shuffled."""
    classes: dict[str, list[Item]] = defaultdict(list)
    for item in task.train:
        classes[item.label].append(item)
    for items in classes.values():
        yield [items[position] for position in generator.permutation(len(items))]
