"""What Trackio's own storage finds in its local database."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from remodal.trackers import Tracker
from remodal.trackers.conftest import STEPS, Told
from remodal.trackers.trackio import Trackio

pytest.importorskip("trackio", reason="Trackio isn't installed: pip install 'remodal[trackio]'")


@pytest.fixture(autouse=True)
def local(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The library reads TRACKIO_DIR when it is imported."""
    from trackio import fragments, sqlite_storage, utils

    for module in (fragments, sqlite_storage, utils):
        if hasattr(module, "TRACKIO_DIR"):
            monkeypatch.setattr(module, "TRACKIO_DIR", tmp_path / "trackio")


def read() -> tuple[str, list[dict[str, Any]]]:
    """The one run's name, and what was logged of it."""
    import trackio

    (run,) = trackio.Api().runs("remodal")
    return run.name, trackio.SQLiteStorage.get_logs("remodal", run.name)


def test_the_numbers_are_those_of_the_run(
    told: Told, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import trackio

    def asked(*_: object) -> str:
        raise AssertionError("it asks the hub who this is")

    monkeypatch.setattr(trackio.Run, "_get_username", asked)
    results = told(Trackio("of the table"))
    assert capsys.readouterr().out == ""
    name, logs = read()
    assert name.startswith("run-")
    assert [one["step"] for one in logs] == STEPS
    assert logs[-1]["aware/last"] == results["summary"]["aware"]["last"]
    assert logs[-1]["cost/stored_bytes"] == results["cost"]["stored_bytes"]
    config = trackio.SQLiteStorage.get_run_config("remodal", name)
    assert config is not None
    assert (config["method"], config["stream.classes_per_task"], config["_Group"]) == (
        "nearest-mean", 1, "of the table",
    )  # fmt: skip


def test_a_run_that_was_broken_off_goes_on_as_the_same_one(told: Told, broken_off: Callable[[Tracker], None]) -> None:
    broken_off(Trackio())
    assert [one["step"] for one in read()[1]] == STEPS[:3]
    told(Trackio())
    assert [one["step"] for one in read()[1]] == STEPS


def test_a_finished_run_is_told_once(told: Told) -> None:
    told(Trackio())
    first = read()
    told(Trackio())
    assert read() == first
