"""``results.json``: the contract of a run folder, ``schema: 1`` (``docs/run-folder.md`` describes each key)."""

from __future__ import annotations

import platform
import resource
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Protocol

import torch

from remodal.backbones import Engine
from remodal.learning.metrics import mean, summary, zero_shot_retention
from remodal.learning.predictions import Predictions
from remodal.learning.prepare import PreparedStream
from remodal.streams.base import Column
from remodal.training.launch import launched

SCHEMA = 1
RECORDED = (
    "remodal", "torch", "transformers", "onnxruntime", "numpy", "pillow", "soundfile", "av", "lmdb", "pyarrow",
    "safetensors", "pydantic",
)  # fmt: skip


def results(
    settings: Mapping[str, Any],
    engine: Engine,
    stream: PreparedStream,
    measured: Mapping[str, Any],
    predictions: Predictions,
    cost: Mapping[str, Any],
) -> dict[str, Any]:
    """The whole of ``results.json``.

    settings: as the run was asked for. engine: the backbone's. measured: ``accuracy``, and ``seconds`` of each step.
    cost: see the contract.
    """
    accuracy, before = measured["accuracy"], begun(stream.tasks, stream.steps)
    aware, agnostic = summary(accuracy["aware"], before), summary(accuracy["agnostic"], before)
    return {
        "schema": SCHEMA,
        **{key: settings[key] for key in ("stream", "order", "seed", "method", "backbone", "features", "settings")},
        "tasks": [
            {
                "index": index,
                "modality": task.train.modality,
                "classes": list(task.train.classes),
                "train": len(task.train.labels),
                "test": len(task.test.labels),
                "seconds": seconds,
            }
            for index, (task, seconds) in enumerate(
                zip(stream.tasks, _seconds(stream, measured["seconds"]), strict=True)
            )
        ],
        "steps": [
            {
                "modality": step.modality,
                "classes": [column.name for column in step.columns],
                "items": 0 if step.train is None else len(step.train.labels),
                "completes": step.completes,
                "seconds": seconds,
            }
            for step, seconds in zip(stream.steps, measured["seconds"], strict=True)
        ],
        "accuracy": accuracy,
        "summary": {
            "aware": aware,
            "agnostic": agnostic,
            "gap": _gap(aware["last"], agnostic["last"]),
            "router_accuracy": predictions.router_accuracy(),
            "router_confusion": predictions.router_confusion(),
            "zero_shot_retention": zero_shot_retention(accuracy["aware"], before),
        },
        "per_modality": _per_modality(stream, accuracy),
        "cost": dict(cost),
        "quarantined": [one._asdict() for one in stream.quarantined],
        "repeated": list(stream.repeated),
        "versions": {**engine.words, **versions()},
    }


class _Task(Protocol):
    @property
    def columns(self) -> Sequence[Column]:
        """Its classes."""


class _Step(_Task, Protocol):
    @property
    def completes(self) -> int | None:
        """The task that is complete after it."""


def begun(tasks: Sequence[_Task], steps: Sequence[_Step]) -> list[int]:
    """How many tasks were complete when the first items of each task came."""
    first: dict[Column, int] = {}
    complete = 0
    for step in steps:
        for column in step.columns:
            first.setdefault(column, complete)
        complete += step.completes is not None
    return [min(first[column] for column in task.columns) for task in tasks]


def _seconds(stream: PreparedStream, of_steps: Sequence[float]) -> list[float]:
    """Time to learn each task's items: of a step with items of several tasks, their share."""
    owner = {column: index for index, task in enumerate(stream.tasks) for column in task.columns}
    of_tasks = [0.0] * len(stream.tasks)
    for step, seconds in zip(stream.steps, of_steps, strict=True):
        if step.train is not None:
            owners = [owner[step.columns[label]] for label in step.train.labels.tolist()]
            for index in owners:
                of_tasks[index] += seconds / len(owners)
    return of_tasks


def _gap(aware: float | None, agnostic: float | None) -> float | None:
    return None if aware is None or agnostic is None else aware - agnostic


def _per_modality(stream: PreparedStream, accuracy: Mapping[str, Sequence[Sequence[float | None]]]) -> dict[str, Any]:
    """Final accuracies, mean over each modality's tasks, and the classes and items there are."""
    out = {}
    for modality in dict.fromkeys(task.train.modality for task in stream.tasks):
        tasks = [index for index, task in enumerate(stream.tasks) if task.train.modality == modality]
        out[modality] = {
            "aware": mean(accuracy["aware"][-1][index] for index in tasks),
            "agnostic": mean(accuracy["agnostic"][-1][index] for index in tasks),
            "tasks": len(tasks),
            "classes": sum(len(stream.tasks[index].train.classes) for index in tasks),
            "test": sum(len(stream.tasks[index].test.labels) for index in tasks),
        }
    return out


def versions() -> dict[str, str]:
    """Versions of what the figures depend on, to the last bit the numbers of threads and of processes too."""
    found = {
        "python": platform.python_version(),
        "platform": f"{sys.platform}-{platform.machine()}",
        "threads": str(torch.get_num_threads()),
        "processes": str(launched()),
    }
    return found | {package: installed(package) for package in RECORDED}


def installed(package: str) -> str:
    """Its version, or that it isn't there."""
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def peak_memory_bytes() -> int:
    """The most resident memory that this process has held."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
