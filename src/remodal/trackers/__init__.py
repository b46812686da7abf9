"""Where a run's numbers go beside its own folder: one small protocol, one file for each library."""

from __future__ import annotations

from collections.abc import Iterable

from remodal.trackers import mlflow, tensorboard, trackio, wandb
from remodal.trackers.base import TrackedRun, Tracker, trackers

__all__ = ["TrackedRun", "Tracker", "mlflow", "open_trackers", "tensorboard", "trackers", "trackio", "wandb"]


def open_trackers(names: Iterable[str], group: str = "") -> list[Tracker]:
    """Trackers by their names, each once. group: what the runs that they are told of belong to, if to anything.

    >>> open_trackers(["tensorbord"])
    Traceback (most recent call last):
    ...
    remodal.errors.UnknownName: unknown tracker 'tensorbord'; did you mean 'tensorboard'? \
valid: mlflow, tensorboard, trackio, wandb

    Raises:
        RemodalError: There is no such tracker, or its library isn't installed.
    """
    return [trackers.get(name)(group) for name in dict.fromkeys(names)]
