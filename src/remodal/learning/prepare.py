"""A stream's steps and tasks as methods and evaluators take them: tokens and labels instead of files."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import sha256

import torch
from torch import Tensor

from remodal.backbones import Backbone, Tokens
from remodal.errors import RemodalError
from remodal.features.extract import Extracted, NeedsTokens, StemPass, always, extract
from remodal.features.progress import Progress
from remodal.features.store import FeatureStore
from remodal.methods.base import TaskData
from remodal.streams.base import Column, Item, Quarantined, Step, Stream, Task
from remodal.streams.listing import listed
from remodal.streams.splits import on_both_sides

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
    """A task to be measured on, and all that there is to learn of it."""

    train: TaskData
    test: TestData

    @property
    def columns(self) -> tuple[Column, ...]:
        """The task's classes as candidates."""
        return self.train.columns


@dataclass(frozen=True)
class PreparedStep:
    """What is learned at one go, and the index of the task that counts as learned after it, if one does.

    There may be nothing left to learn in a step that completes a task. licences, unit: those that its items state.
    """

    modality: str
    train: TaskData | None
    completes: int | None
    licences: tuple[str, ...] = ()
    unit: str | None = None

    @property
    def columns(self) -> tuple[Column, ...]:
        """The classes of its items as candidates."""
        return () if self.train is None else self.train.columns


@dataclass(frozen=True)
class PreparedStream:
    """All tasks and steps, what was set aside, and how long decoding and the stem pass took.

    content: a hash over all that is learned and measured on, in order. repeated: held-out items that are training items
    too, byte for byte.
    """

    tasks: tuple[PreparedTask, ...]
    steps: tuple[PreparedStep, ...]
    quarantined: tuple[Quarantined, ...]
    seconds: dict[str, float]
    content: str = ""
    repeated: tuple[str, ...] = ()


def prepare(
    stream: Stream,
    backbone: Backbone,
    store: FeatureStore,
    progress: Progress | None = None,
    needs_tokens: NeedsTokens = always,
    stem_pass: StemPass = extract,
) -> PreparedStream:
    """Every item through the stem once; items that can't be used are set aside, and so are classes left without any.

    needs_tokens: of whoever learns; otherwise there are frozen features alone, of encoders that keep them. A task left
    without a class is left out, and so is a step that has nothing left to learn and completes no task.
    """
    items = [item for task in stream for item in (*task.train, *task.test)]
    extracted = stem_pass(items, backbone, store, progress, needs_tokens)
    stored = _Stored(extracted, backbone, store)
    quarantined = [*stream.quarantined, *(Quarantined(*rejected) for rejected in extracted.rejected)]
    tasks: dict[int | None, PreparedTask] = {}  # by their index in the stream
    for index, task in enumerate(stream):
        prepared = _prepare_task(task, len(tasks), stored, quarantined)
        if prepared is not None:
            tasks[index] = prepared
    if not tasks:
        raise RemodalError(f"stream {stream.name!r} has nothing to learn; {listed(quarantined)}")
    known = {column for prepared in tasks.values() for column in prepared.columns}
    steps: list[PreparedStep] = []
    for step in stream.steps:
        completed = tasks.get(step.completes)
        whole = step.completes is not None and step.train == stream.tasks[step.completes].train
        if completed is not None and whole:
            train: TaskData | None = replace(completed.train, index=len(steps))
        else:
            train = _prepare_step(step, len(steps), known, stored)
        if train is not None or completed is not None:
            completes = None if completed is None else completed.train.index
            stated = stated_licences(step.train), stated_unit(step.train)
            steps.append(PreparedStep(step.modality, train, completes, *stated))
    repeated = tuple(tested for tested, _ in on_both_sides(items, extracted.keys))
    content = _content(items, extracted.keys)
    return PreparedStream(tuple(tasks.values()), tuple(steps), tuple(quarantined), extracted.seconds, content, repeated)


def _content(items: Sequence[Item], keys: Mapping[str, bytes]) -> str:
    """Of the items that can be used: what each is called, what it is for, and what it holds."""
    digest = sha256()
    for item in items:
        if item.id in keys:
            digest.update("\0".join((item.id, item.modality, item.label, item.split, "")).encode() + keys[item.id])
    return digest.hexdigest()


def stated_licences(items: Sequence[Item]) -> tuple[str, ...]:
    """The licences that items state, each once."""
    return tuple(sorted({item.licence for item in items if item.licence}))


def stated_unit(items: Sequence[Item]) -> str | None:
    """The unit of depth that items state; None where none does, or they differ."""
    stated = {item.unit for item in items}
    return stated.pop() if len(stated) == 1 else None


def prepare_task(
    task: Task | Step,
    index: int,
    backbone: Backbone,
    store: FeatureStore,
    progress: Progress | None = None,
    needs_tokens: NeedsTokens = always,
) -> TaskData:
    """What a method learns ``task`` from; raises RemodalError where an item can't be used."""
    extracted = extract(task.train, backbone, store, progress, needs_tokens)
    if extracted.rejected:
        first, count = extracted.rejected[0], len(extracted.rejected)
        raise RemodalError(f"{first.id}: {first.reason} ({count} such items among {len(task.train)})")
    return _Stored(extracted, backbone, store).task_data(index, task.modality, task.classes, task.train)


def without_unusable(
    tasks: Sequence[Task],
    backbone: Backbone,
    store: FeatureStore,
    progress: Progress | None = None,
    needs_tokens: NeedsTokens = always,
) -> tuple[tuple[Task, ...], tuple[Quarantined, ...]]:
    """The tasks without the items that can't be read or decoded, and these items; no task of nothing to learn."""
    items = [item for task in tasks for item in (*task.train, *task.test)]
    extracted = extract(items, backbone, store, progress, needs_tokens)
    kept: list[Task] = []
    for task in tasks:
        train, test = (tuple(item for item in items if item.id in extracted.keys) for items in (task.train, task.test))
        learned = {item.label for item in train}
        classes = tuple(name for name in task.classes if name in learned)
        test = tuple(item for item in test if item.label in classes)
        if classes:
            kept.append(Task(len(kept), task.modality, classes, train, test))
    return tuple(kept), tuple(Quarantined(*rejected) for rejected in extracted.rejected)


def prepare_held_out(
    task: Task, backbone: Backbone, store: FeatureStore, needs_tokens: NeedsTokens = always
) -> tuple[Tokens, list[str]] | None:
    """The usable held-out items of a task, with the label of each; None where there is none."""
    extracted = extract(task.test, backbone, store, needs_tokens=needs_tokens)
    items = [item for item in task.test if item.id in extracted.keys]
    if not items:
        return None
    return _Stored(extracted, backbone, store).tokens(items), [item.label for item in items]


@dataclass(frozen=True)
class _Stored:
    """What a stem pass left in the store; tokens are read from there when they are needed."""

    extracted: Extracted
    backbone: Backbone
    store: FeatureStore

    def __contains__(self, item: Item) -> bool:
        return item.id in self.extracted.keys

    def tokens(self, items: Sequence[Item]) -> Tokens:
        """Of ``items``, all of one tower."""
        tower = self.backbone.reads[items[0].read_as]
        return self.extracted.tokens(self.store, tower, [item.id for item in items])

    def task_data(self, index: int, modality: str, classes: tuple[str, ...], items: Sequence[Item]) -> TaskData:
        """Of ``items`` of these classes."""
        places = {name: at for at, name in enumerate(classes)}
        columns = tuple(Column(modality, name) for name in classes)
        labels = torch.tensor([places[item.label] for item in items], device=self.backbone.engine.home)
        return TaskData(index, columns, self.tokens(items), labels)


def _prepare_task(task: Task, index: int, stored: _Stored, quarantined: list[Quarantined]) -> PreparedTask | None:
    train = [item for item in task.train if item in stored]
    test = [item for item in task.test if item in stored]
    both = {item.label for item in train} & {item.label for item in test}
    classes = tuple(name for name in task.classes if name in both)
    left: dict[str, list[Item]] = {name: [] for name in task.classes if name not in both}
    for item in (*train, *test):
        if item.label in left:
            left[item.label].append(item)
    for name, items in left.items():
        reason = f"class {name!r} has no usable item left on both sides of the split"
        quarantined.extend(Quarantined(item.id, reason) for item in items)
    if not classes:
        return None
    train = [item for item in train if item.label in both]
    test = [item for item in test if item.label in both]
    data = stored.task_data(index, task.modality, classes, train)
    held = stored.task_data(index, task.modality, classes, test)
    return PreparedTask(data, TestData(tuple(item.id for item in test), held.tokens, held.labels))


def _prepare_step(step: Step, index: int, known: Container[Column], stored: _Stored) -> TaskData | None:
    """known: the classes that are left."""
    items = [item for item in step.train if item in stored and Column(step.modality, item.label) in known]
    classes = tuple(dict.fromkeys(item.label for item in items))
    return stored.task_data(index, step.modality, classes, items) if items else None
