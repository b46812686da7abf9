"""``--tracker`` of ``remodal run`` and of ``remodal compare``."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from remodal.cli.conftest import Cli

QUICK = ("--method", "nearest-mean", "--threads", "1", "stream.classes_per_task=1")


def steps(run: Path) -> list[int]:
    """What TensorBoard's own reader finds."""
    reader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    found = reader.EventAccumulator(str(run / "tensorboard")).Reload()
    return [one.step for one in found.Scalars("tasks")]


def test_a_run_is_told_and_says_nothing_more(cli: Cli, own_data: Path) -> None:
    plain = cli("run", "--stream", own_data, *QUICK, "--out", "plain")
    pytest.importorskip("tensorboard")
    told = cli("run", "--stream", own_data, *QUICK, "--out", "told", "--tracker", "tensorboard")
    assert told.exit_code == 0, told.output
    assert steps(Path("told")) == [0, 1, 2, 3, 4]
    left = {path.name for path in Path("told").iterdir()} - {path.name for path in Path("plain").iterdir()}
    assert left == {"tracked.json", "tensorboard"}
    assert len(told.stdout.splitlines()) == len(plain.stdout.splitlines())
    assert len(told.stderr.splitlines()) == len(plain.stderr.splitlines())


def test_a_run_outlives_its_tracker(cli: Cli, own_data: Path) -> None:
    pytest.importorskip("tensorboard")
    Path("x").mkdir()
    Path("x/tensorboard").write_text("in the way")
    done = cli("run", "--stream", own_data, *QUICK, "--out", "x", "--tracker", "tensorboard")
    assert done.exit_code == 0, done.output
    (line,) = [line for line in done.stderr.splitlines() if "tracker" in line]
    assert line.startswith("remodal: tracker tensorboard: FileExistsError: ")
    assert line.endswith("; the run goes on without it")


@pytest.mark.parametrize("command", ["run", "compare"])
def test_what_is_unknown_or_not_installed_is_one_line_before_anything_is_done(
    cli: Cli, own_data: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    unknown = cli(command, "--stream", own_data, "--out", "x", "--tracker", "tensorbord")
    assert (unknown.exit_code, "did you mean 'tensorboard'?" in unknown.stderr) == (2, True)
    monkeypatch.setitem(sys.modules, "wandb", None)
    missing = cli(command, "--stream", own_data, "--out", "x", "--tracker", "wandb")
    assert missing.exit_code == 2
    assert missing.stderr == "remodal: found no module 'wandb'; install it: pip install 'remodal[wandb]'\n"
    assert not Path("x").exists()


def test_each_run_of_a_table_is_told(cli: Cli, own_data: Path) -> None:
    pytest.importorskip("tensorboard")
    failing = Path("table/runs/random-1-nearest-mean-shared")
    failing.mkdir(parents=True)
    (failing / "tensorboard").write_text("in the way")
    done = cli(
        "compare", "--stream", own_data, "--methods", "nearest-mean,zero-shot", "--orders", "random", "--seeds", "0,1",
        "--out", "table", "--jobs", "2", "--tracker", "tensorboard",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    (line,) = [line for line in done.stderr.splitlines() if "tracker" in line]
    assert line.startswith(f"{failing.name}: tracker tensorboard: FileExistsError: ")
    told = [path for path in Path("table/runs").iterdir() if path != failing]
    assert [steps(path) for path in told] == [[0, 1, 2]] * 3


@pytest.mark.long
def test_processes_that_make_one_store_do_not_break_it(
    cli: Cli, own_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    done = cli(
        "compare", "--stream", own_data, "--methods", "nearest-mean,zero-shot", "--orders", "random", "--seeds", "0,1",
        "--out", "table", "--jobs", "4", "--tracker", "mlflow",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    assert "tracker" not in done.stderr
    client = mlflow.MlflowClient("sqlite:///mlflow.db")
    runs = client.search_runs([client.get_experiment_by_name("remodal").experiment_id])
    assert sorted(run.info.run_name for run in runs) == sorted(path.name for path in Path("table/runs").iterdir())
    assert {(run.info.status, run.data.tags["remodal.group"]) for run in runs} == {("FINISHED", "table")}
