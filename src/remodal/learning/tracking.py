"""What trackers are told of a run: numbers with stable names, all of them from what the run writes anyway.

A step of a tracker is a step of the run: 0 is before learning. The last one is told when the results are there, with
what only they hold. ``docs/trackers.md`` describes each name.
"""

from __future__ import annotations

import json
import re
import uuid
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Self

from remodal.errors import LONGEST, TrackerFailed
from remodal.files import write_json
from remodal.learning.metrics import Matrix, mean, summary
from remodal.learning.prepare import PreparedStream
from remodal.learning.results import begun
from remodal.streams.base import Column
from remodal.trackers.base import TrackedRun, Tracker

TRACKED = "tracked.json"
KINDS = ("aware", "agnostic")
Metrics = dict[str, float]


class Course(NamedTuple):
    """What a run learns, in plain numbers.

    modalities: of the tasks. begun: how many tasks were complete when each one's first items came. completes: the task
    that each step completes.
    """

    modalities: Sequence[str]
    begun: Sequence[int]
    completes: Sequence[int | None]

    @classmethod
    def of_stream(cls, stream: PreparedStream) -> Self:
        """Before anything is learned."""
        modalities = [task.train.modality for task in stream.tasks]
        return cls(modalities, begun(stream.tasks, stream.steps), [step.completes for step in stream.steps])

    @classmethod
    def of_results(cls, results: Mapping[str, Any]) -> Self:
        """From ``results.json``."""
        tasks, steps = (
            [_Learned([Column(one["modality"], name) for name in one["classes"]], one.get("completes")) for one in part]
            for part in (results["tasks"], steps_of(results))
        )
        modalities = [task["modality"] for task in results["tasks"]]
        return cls(modalities, begun(tasks, steps), [step.completes for step in steps])


class _Learned(NamedTuple):
    """A task or a step of ``results.json``."""

    columns: Sequence[Column]
    completes: int | None


def steps_of(results: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Of ``results.json``; a run of an earlier version learned whole tasks, and names no steps."""
    return results.get("steps") or [{**task, "completes": task["index"]} for task in results["tasks"]]


class Tracking:
    """Tells trackers of the run in ``folder``, within a ``with`` block; one that fails is left out from then on.

    resume: whether it may be a run that trackers were told of before.
    """

    def __init__(self, trackers: Sequence[Tracker], folder: Path, resume: bool) -> None:
        self._trackers, self._folder, self._resume = trackers, folder, resume
        self._next: dict[str, int] | None = None
        """The next step for each tracker that is listening; None before they were told that the run begins."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._next:  # nobody was told that the run is finished
            self._each(lambda tracker: tracker.end(False))

    def step(self, at: int, course: Course, accuracy: Mapping[str, Matrix], seconds: Sequence[float | None]) -> None:
        """After ``at`` steps; those that a tracker was told of before aren't told again."""
        if self._trackers and at < len(course.completes):
            self._tell(at, measured(at, course, accuracy, seconds, losses(self._folder)))

    def finish(self, results: Mapping[str, Any]) -> None:
        """The results are there: all that a tracker wasn't told yet."""
        if not self._trackers:
            return
        course, of_stages = Course.of_results(results), losses(self._folder)
        seconds = [step.get("seconds") for step in steps_of(results)]
        for at in range(len(course.completes) + 1):
            metrics = measured(at, course, results["accuracy"], seconds, of_stages)
            self._tell(at, metrics if at < len(course.completes) else {**metrics, **at_the_end(results)})
        self._each(lambda tracker: tracker.end(True))
        self._next = {}

    def _tell(self, at: int, metrics: Metrics) -> None:
        if self._next is None:
            self._begin()
        due = self._next or {}

        def tell(tracker: Tracker) -> None:
            if at >= due[tracker.name]:
                tracker.log(at, metrics)
                due[tracker.name] = at + 1

        self._each(tell)

    def _begin(self) -> None:
        """Not before the first step is measured: what can't be learned at all is no run to track."""
        run = identified(self._folder, self._resume)
        due = self._next = {tracker.name: 0 for tracker in self._trackers}

        def begin(tracker: Tracker) -> None:
            due[tracker.name] = tracker.begin(run)

        self._each(begin)

    def _each(self, act: Callable[[Tracker], None]) -> None:
        """``act`` on every tracker that listens; a run is worth more than its copy elsewhere."""
        listening = self._next or {}
        for tracker in [one for one in self._trackers if one.name in listening]:
            try:
                act(tracker)
            except Exception as error:
                del listening[tracker.name]
                reason = " ".join(f"{type(error).__name__}: {error}".split())[:LONGEST]
                warnings.warn(f"tracker {tracker.name}: {reason}; the run goes on without it", TrackerFailed, 2)


def identified(folder: Path, resume: bool) -> TrackedRun:
    """The run in ``folder``: one that goes on keeps the id that trackers know it by."""
    settings, tracked = flat(json.loads((folder / "settings.json").read_text())), folder / TRACKED
    known = json.loads(tracked.read_text()) if resume and tracked.exists() else {}
    if known.get("settings") != settings:
        known = {"id": uuid.uuid4().hex, "settings": settings}
        write_json(tracked, known)
    return TrackedRun(known["id"], folder.resolve().name, folder, settings)


def flat(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a run as one level of names.

    >>> flat({"method": "comm", "seed": 0, "settings": {"method": {"steps": 20}, "backbone": {}}})
    {'method': 'comm', 'seed': 0, 'method.steps': 20}
    """
    own = {name: value for name, value in settings.items() if name != "settings"}
    return own | {f"{part}.{name}": value for part, of in settings["settings"].items() for name, value in of.items()}


def losses(folder: Path) -> dict[int, Metrics]:
    """By step, from 0: the last loss of each of its stages."""
    found: dict[int, Metrics] = {}
    for line in (folder / "history.jsonl").read_text().splitlines():
        record = json.loads(line)
        name = "loss/" + re.sub(r"[^\w.-]+", "-", record["stage"])  # what every tracker takes
        found.setdefault(record["task"], {})[name] = record["loss"]
    return found


def measured(
    at: int,
    course: Course,
    accuracy: Mapping[str, Matrix],
    seconds: Sequence[float | None],
    of_stages: Mapping[int, Metrics],
) -> Metrics:
    """What there is after ``at`` steps; accuracies where a task was completed, and before learning."""
    complete = sum(task is not None for task in course.completes[:at])
    found: dict[str, float | None] = {"tasks": complete}
    if at:
        found |= {"seconds": seconds[at - 1], **of_stages.get(at - 1, {})}
    if not at or course.completes[at - 1] is not None:
        for kind in KINDS:
            found |= _accuracies(kind, accuracy[kind], complete, course)
        aware, agnostic = (found[f"{kind}/last"] for kind in KINDS)
        found["gap"] = None if aware is None or agnostic is None else aware - agnostic
    return {name: float(value) for name, value in found.items() if value is not None}


def _accuracies(kind: str, matrix: Matrix, complete: int, course: Course) -> dict[str, float | None]:
    """The five measures as if the stream ended here, and the means and accuracies that they are made of."""
    so_far = summary([row[:complete] for row in matrix[: complete + 1]], course.begun[:complete])
    row, modalities = matrix[complete], course.modalities
    means = {
        modality: mean(row[task] for task in range(complete) if modalities[task] == modality)
        for modality in modalities[:complete]
    }
    width = len(str(len(modalities) - 1))
    return {
        **{f"{kind}/{name}": value for name, value in so_far.items()},
        **{f"{kind}_by_modality/{modality}": value for modality, value in means.items()},
        **{f"{kind}_by_task/{task:0{width}}-{modalities[task]}": share for task, share in enumerate(row)},
    }


def at_the_end(results: Mapping[str, Any]) -> Metrics:
    """What only the results hold."""
    cost, summary_ = dict(results["cost"]), results["summary"]
    seconds = {f"cost/seconds/{name}": value for name, value in cost.pop("seconds").items()}
    own = {name: summary_[name] for name in ("router_accuracy", "zero_shot_retention") if summary_[name] is not None}
    return own | {f"cost/{name}": value for name, value in cost.items()} | seconds
