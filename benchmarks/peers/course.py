"""What every contestant is given, and how it is timed. Needs numpy alone: the peers' environment has no ``remodal``.

A course is a folder: ``course.json`` with the tasks, and one ``.npy`` file for each split and kind of input. The
classes are numbered in the order in which they are learned.
"""

from __future__ import annotations

import json
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

FILE = "course.json"


class Course:
    """The tasks of an exported folder.

    names: of the classes; two modalities may share one. classes: of each task, positions in ``names``.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        told = json.loads((folder / FILE).read_text(encoding="utf-8"))
        self.told: dict[str, Any] = told
        self.names: list[str] = told["names"]
        self.classes: list[list[int]] = told["classes"]
        self._tasks = {split: self._array(split, "tasks") for split in ("train", "test")}
        self._labels = {split: self._array(split, "labels") for split in ("train", "test")}

    def inputs(self, split: str, kind: str) -> list[NDArray[Any]]:
        """One array ``[n, ...]`` a task. kind: ``"published"``, ``"shared"``, or ``"pictures"``."""
        return self._by_task(split, self._array(split, kind))

    def labels(self, split: str) -> list[NDArray[np.int64]]:
        """One array ``[n]`` a task."""
        return self._by_task(split, self._labels[split])

    def _array(self, split: str, what: str) -> NDArray[Any]:
        array: NDArray[Any] = np.load(self.folder / f"{split}-{what}.npy", allow_pickle=False)
        return array

    def _by_task(self, split: str, array: NDArray[Any]) -> list[NDArray[Any]]:
        return [array[self._tasks[split] == task] for task in range(len(self.classes))]


class Request(NamedTuple):
    """What a process is asked for.

    folder: of the course. who: the contestant. kind: of its features. settings: one run each. choosing: a run is
    measured after its last task alone. loop: with the frozen network in the loop. seed: of what a contestant draws.
    threads: that it may use.
    """

    folder: str
    who: str
    kind: str
    settings: list[dict[str, Any]]
    choosing: bool
    loop: bool
    seed: int
    threads: int


class Learner(ABC):
    """A contestant at work. What it needs to begin, it has done when it is made."""

    @abstractmethod
    def learn(self, task: int) -> None:
        """Learn the training items of a task."""

    @abstractmethod
    def accuracies(self, tasks: int) -> list[float]:
        """On the test items of each of the first ``tasks`` tasks, among all classes learned so far."""


class Labeller(Learner):
    """A contestant that answers arrays with labels. An answer is right where the *name* is, as ``remodal`` counts."""

    def __init__(self, course: Course, kind: str) -> None:
        self.course = course
        self.train, self.train_labels = course.inputs("train", kind), course.labels("train")
        self.test, self.test_labels = course.inputs("test", kind), course.labels("test")
        self._names = np.unique(course.names, return_inverse=True)[1]

    @abstractmethod
    def answers(self, items: NDArray[Any]) -> Sequence[int] | NDArray[Any]:
        """The label of each item."""

    def accuracies(self, tasks: int) -> list[float]:
        """See :meth:`Learner.accuracies`."""
        pairs = zip(self.test[:tasks], self.test_labels[:tasks])
        return [float(np.mean(self._names[self.answers(items)] == self._names[labels])) for items, labels in pairs]


Begin = Callable[[Course, Request, dict[str, Any]], Learner]


def measured(learner: Learner, tasks: int, *, choosing: bool) -> dict[str, Any]:
    """Seconds of learning and of answering, and accuracies ``[after task, on task]``.

    processor: seconds of all threads together, of both.
    """
    began = time.process_time()
    learning: list[float] = []
    answering: list[float] = []
    accuracy: list[list[float]] = []
    for task in range(tasks):
        started = time.perf_counter()
        learner.learn(task)
        learned = time.perf_counter()
        learning.append(learned - started)
        if not choosing or task == tasks - 1:
            accuracy.append(learner.accuracies(task + 1))
            answering.append(time.perf_counter() - learned)
    spent = time.process_time() - began
    return {"learn": sum(learning), "answer": sum(answering), "processor": spent, "accuracy": accuracy}


def main(begin: Begin) -> None:
    """Do what the request in the first file asks for, and leave what was found in the second one."""
    asked, found = Path(sys.argv[1]), Path(sys.argv[2])
    request = Request(**json.loads(asked.read_text(encoding="utf-8")))
    course = Course(Path(request.folder))
    runs = [
        measured(begin(course, request, settings), len(course.classes), choosing=request.choosing)
        for settings in request.settings
    ]
    found.write_text(json.dumps(runs), encoding="utf-8")
