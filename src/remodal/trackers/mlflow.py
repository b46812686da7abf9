"""MLflow: a run of an experiment, in the store that ``MLFLOW_TRACKING_URI`` names or in ``mlflow.db`` (SQLite)."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock

from remodal.cache import cache_folder
from remodal.errors import installed_with
from remodal.trackers.base import PROJECT, TrackedRun, trackers

if TYPE_CHECKING:
    from mlflow import MlflowClient

ID = "remodal.id"
GROUP = "remodal.group"
IN_EVERY_STEP = "tasks"
"""A metric that tells which steps a run has."""
AT_ONCE = 1000
"""Metrics that MLflow takes in one call."""


@trackers.add("mlflow")
class Mlflow:
    """Finds a run that goes on by its tag. The client is its own: MLflow's active run stays the user's."""

    name = "mlflow"
    _client: MlflowClient
    _run: str

    def __init__(self, group: str = "") -> None:
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # read once, at the import
        os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")
        with installed_with("mlflow"):
            import mlflow  # noqa: F401
            import sqlalchemy  # noqa: F401  # mlflow-skinny comes without what its SQLite store needs
        self._group = group

    def begin(self, run: TrackedRun) -> int:
        """A new run has its settings as parameters; one that goes on has them already."""
        from mlflow import MlflowClient
        from mlflow.entities import Param

        with FileLock(_lock()):  # processes that make the tables of one new store together break it
            self._client = MlflowClient()
            experiment = self._experiment()
        if found := self._client.search_runs([experiment], f"tags.`{ID}` = '{run.id}'"):
            self._run = found[0].info.run_id
            self._client.update_run(self._run, status="RUNNING")
            return 1 + max((one.step for one in self._client.get_metric_history(self._run, IN_EVERY_STEP)), default=-1)
        tags = {ID: run.id, **({GROUP: self._group} if self._group else {})}
        self._run = self._client.create_run(experiment, run_name=run.name, tags=tags).info.run_id
        self._client.log_batch(self._run, params=[Param(name, str(value)) for name, value in run.settings.items()])
        return 0

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        """A metric each; the one that marks the step comes last, so that a step that a kill has cut comes again."""
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        ordered = sorted(metrics.items(), key=lambda one: one[0] == IN_EVERY_STEP)
        every = [Metric(name, value, now, step) for name, value in ordered]
        for start in range(0, len(every), AT_ONCE):
            self._client.log_batch(self._run, metrics=every[start : start + AT_ONCE])

    def end(self, finished: bool) -> None:
        """The run's status says how it ended."""
        self._client.set_terminated(self._run, "FINISHED" if finished else "KILLED")

    def _experiment(self) -> str:
        """Its id; it is made where it isn't there."""
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME", PROJECT)
        found = self._client.get_experiment_by_name(name)
        return str(self._client.create_experiment(name) if found is None else found.experiment_id)


def _lock() -> Path:
    folder = cache_folder()
    folder.mkdir(parents=True, exist_ok=True)
    return folder / "mlflow.lock"
