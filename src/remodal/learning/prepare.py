"""A stream's tasks as methods and evaluators take them: tokens and labels instead of files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from remodal.backbones import Backbone, Tokens
from remodal.errors import RemodalError
from remodal.features.extract import Extracted, extract
from remodal.features.progress import Progress
from remodal.features.store import FeatureStore
from remodal.methods.base import TaskData
from remodal.streams.base import Column, Item, Quarantined, Stream, Task

BATCH = 256
"""Items that are scored at a time."""


@dataclass(frozen=True)
class TestData:
    """Held-out items of one task. labels: int64 ``[n]``, positions in the task's classes."""

    __test__ = False  # not a test class, whatever its name

    items: tuple[str, ...]
    tokens: Tokens
    labels: Tensor

    @cached_property
    def batches(self) -> list[Tokens]:
        """The items, ``BATCH`` at a time; the same objects each time, so that a method may remember them."""
        return list(self.tokens.batches(BATCH))


@dataclass(frozen=True)
class PreparedTask:
    """A task to learn from and to be measured on."""

    train: TaskData
    test: TestData

    @property
    def columns(self) -> list[Column]:
        """The task's classes as candidates."""
        return self.train.columns


@dataclass(frozen=True)
class PreparedStream:
    """All tasks, what was set aside, and how long decoding and the stem pass took."""

    tasks: tuple[PreparedTask, ...]
    quarantined: tuple[Quarantined, ...]
    seconds: dict[str, float]


def prepare(
    stream: Stream, backbone: Backbone, store: FeatureStore, progress: Progress | None = None
) -> PreparedStream:
    """Every item through the stem once; items that can't be used are set aside, and so are classes left without any."""
    items = [item for task in stream for item in (*task.train, *task.test)]
    extracted = extract(items, backbone, store, progress)
    quarantined = [*stream.quarantined, *(Quarantined(*rejected) for rejected in extracted.rejected)]
    tasks: list[PreparedTask] = []
    for task in stream:
        prepared = _prepare_task(task, len(tasks), extracted, backbone, quarantined)
        if prepared is not None:
            tasks.append(prepared)
    if not tasks:
        raise RemodalError(f"stream {stream.name!r} has no task that can be used: {len(quarantined)} items set aside")
    return PreparedStream(tuple(tasks), tuple(quarantined), extracted.seconds)


def prepare_task(task: Task, backbone: Backbone, store: FeatureStore, progress: Progress | None = None) -> TaskData:
    """What a method learns ``task`` from; raises RemodalError where an item can't be used."""
    extracted = extract(task.train, backbone, store, progress)
    if extracted.rejected:
        first = extracted.rejected[0]
        raise RemodalError(f"{first.id}: {first.reason} ({len(extracted.rejected)} such items in task {task.index})")
    return _task_data(task, task.index, task.classes, task.train, extracted.tokens, backbone)


def _prepare_task(
    task: Task, index: int, extracted: Extracted, backbone: Backbone, quarantined: list[Quarantined]
) -> PreparedTask | None:
    train = [item for item in task.train if item.id in extracted.tokens]
    test = [item for item in task.test if item.id in extracted.tokens]
    classes = []
    for name in task.classes:
        if any(item.label == name for item in train) and any(item.label == name for item in test):
            classes.append(name)
        else:
            left = [item for item in (*train, *test) if item.label == name]
            reason = f"class {name!r} has no usable item left on both sides of the split"
            quarantined.extend(Quarantined(item.id, reason) for item in left)
    if not classes:
        return None
    train = [item for item in train if item.label in classes]
    test = [item for item in test if item.label in classes]
    data = _task_data(task, index, tuple(classes), train, extracted.tokens, backbone)
    held = _task_data(task, index, tuple(classes), test, extracted.tokens, backbone)
    return PreparedTask(data, TestData(tuple(item.id for item in test), held.tokens, held.labels))


def _task_data(
    task: Task,
    index: int,
    classes: tuple[str, ...],
    items: Sequence[Item],
    tokens: Mapping[str, NDArray[np.float16]],
    backbone: Backbone,
) -> TaskData:
    tower = backbone.tower(task.modality).name
    stacked = Tokens.stack(tower, [tokens[item.id] for item in items])
    labels = torch.tensor([classes.index(item.label) for item in items])
    return TaskData(index, task.modality, classes, stacked, labels)
