"""Which of the items that arrive are held out to measure with."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from remodal.saved.held_out import PER_CLASS
from remodal.streams.base import Column, Item, Task
from remodal.streams.splits import TEST_SHARE


def is_held_out(number: int, held_out: int) -> bool:
    """Whether an item is held out that is the ``number``-th of its class, from 0, of which ``held_out`` are by now.

    Every fourth is, until the model keeps as many of the class as it ever does: no item is left unused.

    >>> is_held_out(3, held_out=0), is_held_out(4, held_out=1), is_held_out(23, held_out=PER_CLASS)
    (True, False, False)
    """
    return number % TEST_SHARE == TEST_SHARE - 1 and held_out < PER_CLASS


def tasks_of(items: Sequence[Item]) -> list[Task]:
    """A task a modality, of which all is for learning."""
    tasks: list[Task] = []
    for modality in dict.fromkeys(item.modality for item in items):
        own = tuple(item for item in items if item.modality == modality)
        tasks.append(Task(len(tasks), modality, tuple(item.label for item in own), own, ()))
    return tasks


def sided(task: Task, came: Mapping[Column, int], held_out: Mapping[str, int]) -> Task:
    """The task with its items on their sides. came: how many of each class came before; held_out: are held out."""
    numbers, held = Counter(came), Counter(held_out)
    train, test = list[Item](), list[Item]()
    for item in task.train:
        column = Column(item.modality, item.label)
        if is_held_out(numbers[column], held[item.label]):
            test.append(replace(item, split="test"))
            held[item.label] += 1
        else:
            train.append(item)
        numbers[column] += 1
    return Task(task.index, task.modality, tuple(item.label for item in train or test), tuple(train), tuple(test))
