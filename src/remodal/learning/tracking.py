"""Trackers are told of a run, each step once; the last one when the results are there, with what only they hold."""

from __future__ import annotations

import json
import uuid
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from remodal.errors import TrackerFailed, shortened
from remodal.files import write_json
from remodal.learning.metrics import Matrix
from remodal.learning.told import Course, Metrics, at_the_end, losses, measured, steps_of
from remodal.trackers.base import TrackedRun, Tracker

TRACKED = "tracked.json"


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
                reason = shortened(f"{type(error).__name__}: {error}")
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
