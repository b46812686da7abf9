"""What a tracker is: something that is told of a run, step by step."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from remodal.registry import Registry

PROJECT = "remodal"
"""What runs are filed under, where the user's environment names nothing else."""


@dataclass(frozen=True)
class TrackedRun:
    """A run, before its first step.

    id: 32 hexadecimal digits; the same when it goes on in another process. name: of its folder. settings: flat names
    (``method``, ``method.steps``, ``stream.classes_per_task``) and plain values.
    """

    id: str
    name: str
    folder: Path
    settings: Mapping[str, Any]


class Tracker(Protocol):
    """Is told of one run after the other. Whatever it raises is told to the user, and the run goes on without it."""

    name: str

    def begin(self, run: TrackedRun) -> int:
        """Open ``run``, or go on with it where it was told of before; the first step that is still to be told."""

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        """What was measured after ``step`` steps; each comes once, in order."""

    def end(self, finished: bool) -> None:
        """All is told; or the run was broken off, and may go on later."""


trackers = Registry[Callable[[str], Tracker]]("tracker")
"""What makes a tracker of the name of a group of runs, which may be empty."""
