"""What MLflow's own client finds in a SQLite store."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from remodal.trackers import Tracker
from remodal.trackers.conftest import STEPS, Told
from remodal.trackers.mlflow import GROUP, Mlflow

pytest.importorskip("mlflow", reason="MLflow isn't installed: pip install 'remodal[mlflow]'")


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store without runs: making its tables takes seconds."""
    from mlflow import MlflowClient

    store = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    MlflowClient(f"sqlite:///{store}").search_experiments()
    return store


@pytest.fixture
def store(empty: Path, out: Path) -> str:
    """The store where MLflow looks for one by itself."""
    return f"sqlite:///{shutil.copy(empty, out.parent / 'mlflow.db')}"


def read(store: str) -> tuple[Any, dict[str, list[tuple[int, float]]]]:
    """The one run, and its steps and values by name."""
    from mlflow import MlflowClient

    client = MlflowClient(store)
    experiment = client.get_experiment_by_name("remodal")
    assert experiment is not None
    (found,) = client.search_runs([experiment.experiment_id])
    histories = {name: client.get_metric_history(found.info.run_id, name) for name in found.data.metrics}
    return found, {name: sorted((one.step, one.value) for one in many) for name, many in histories.items()}


def test_the_numbers_are_those_of_the_run(told: Told, store: str) -> None:
    results = told(Mlflow("of the table"))
    found, metrics = read(store)
    assert (found.info.run_name, found.info.status, found.data.tags[GROUP]) == ("run", "FINISHED", "of the table")
    assert (found.data.params["method"], found.data.params["stream.classes_per_task"]) == ("nearest-mean", "1")
    assert [step for step, _ in metrics["tasks"]] == STEPS
    assert metrics["aware/last"][-1] == (4, results["summary"]["aware"]["last"])
    assert metrics["cost/stored_bytes"] == [(4, results["cost"]["stored_bytes"])]


def test_a_run_that_was_broken_off_goes_on_as_the_same_one(
    told: Told, broken_off: Callable[[Tracker], None], store: str
) -> None:
    broken_off(Mlflow())
    found, metrics = read(store)
    assert (found.info.status, [step for step, _ in metrics["tasks"]]) == ("KILLED", STEPS[:3])
    told(Mlflow())
    found, metrics = read(store)
    assert (found.info.status, [step for step, _ in metrics["tasks"]]) == ("FINISHED", STEPS)
    assert [step for step, _ in metrics["aware/last"]] == STEPS[1:]


def test_a_finished_run_is_told_once(told: Told, store: str) -> None:
    told(Mlflow())
    _, first = read(store)
    told(Mlflow())
    assert read(store)[1] == first


def test_a_store_that_cannot_be_reached_is_no_harm(told: Told, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (out.parent / "in the way").write_text("")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{out.parent}/in the way/mlflow.db")
    with pytest.warns(UserWarning, match="tracker mlflow: .*; the run goes on without it"):
        assert told(Mlflow())["tasks"]
