"""A run in the numbers that trackers are told, under stable names: all of them from what the run writes anyway.

A step of a tracker is a step of the run: 0 is before learning. ``docs/trackers.md`` describes each name.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Self

from remodal.learning.metrics import Matrix, mean, summary
from remodal.learning.prepare import PreparedStream
from remodal.learning.results import begun
from remodal.streams.base import Column

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
