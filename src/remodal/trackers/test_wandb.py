"""What an offline folder of Weights & Biases holds: the library's own records, in the log that it syncs from."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from remodal.trackers import TrackedRun, Tracker
from remodal.trackers.conftest import STEPS, Told
from remodal.trackers.wandb import Wandb

pytest.importorskip("wandb", reason="Weights & Biases isn't installed: pip install 'remodal[wandb]'")

HEAD = 7
"""Bytes before the first block, and before each piece of a record: checksum (4), length (2), kind (1)."""
BLOCK = 32_768


@pytest.fixture(scope="module", autouse=True)
def _service() -> Iterator[None]:
    """The library's own process ends with these tests."""
    import wandb

    yield
    wandb.teardown()


def pieces(log: bytes) -> Iterator[tuple[int, bytes]]:
    """Kind (1 whole, 2 first, 3 middle, 4 last) and bytes of the pieces in a log of LevelDB's format."""
    at = HEAD
    while at + HEAD <= len(log):
        if BLOCK - at % BLOCK < HEAD:
            at += BLOCK - at % BLOCK
            continue
        length, kind = int.from_bytes(log[at + 4 : at + 6], "little"), log[at + 6]
        if kind == 0:  # nothing was written there
            return
        yield kind, log[at + HEAD : at + HEAD + length]
        at += HEAD + length


def records(folder: Path) -> list[Any]:
    """Of a run's log, to the record that it has ended; the library's own process may still be writing it."""
    from wandb.proto.wandb_internal_pb2 import Record

    (log,) = folder.glob("run-*.wandb")
    for _ in range(200):
        found, whole = [], b""
        for kind, piece in pieces(log.read_bytes()):
            whole = piece if kind in (1, 2) else whole + piece
            if kind in (1, 4):
                found.append(Record.FromString(whole))
        if any(one.HasField("exit") for one in found):
            return found
        time.sleep(0.05)
    raise AssertionError(f"{log} does not end")


def values(items: Iterable[Any]) -> dict[str, Any]:
    """Of records' items, by name."""
    return {one.key or "/".join(one.nested_key): json.loads(one.value_json) for one in items}


def read(folder: Path) -> tuple[Any, list[dict[str, Any]]]:
    """The run, and what was logged of it."""
    found = records(folder)
    (run,) = [one.run for one in found if one.HasField("run")]
    return run, [values(one.history.item) for one in found if one.HasField("history")]


def folders(out: Path) -> list[Path]:
    """One for each process, the oldest first."""
    return sorted((out / "wandb").glob("offline-run-*"), key=lambda path: path.stat().st_ctime_ns)


def test_the_numbers_are_those_of_the_run(told: Told, out: Path, capfd: pytest.CaptureFixture[str]) -> None:
    results = told(Wandb("of the table"))
    assert capfd.readouterr().out == ""
    (folder,) = folders(out)
    run, logged = read(folder)
    assert (run.project, run.display_name, run.run_group) == ("remodal", "run", "of the table")
    settings = values(run.config.update)
    assert (settings["method"], settings["stream.classes_per_task"]) == ("nearest-mean", 1)
    assert [one["_step"] for one in logged] == STEPS
    assert logged[-1]["aware/last"] == results["summary"]["aware"]["last"]
    assert logged[-1]["cost/stored_bytes"] == results["cost"]["stored_bytes"]


def test_nothing_is_gathered_that_the_run_folder_does_not_hold(told: Told, out: Path) -> None:
    told(Wandb())
    (folder,) = folders(out)
    run, _ = read(folder)
    assert (run.host, run.git.remote_url) == ("", "")
    kinds = {one.WhichOneof("record_type") for one in records(folder)}
    assert kinds == {"header", "run", "history", "summary", "telemetry", "exit"}  # no console, no machine, no files
    assert not [path.name for path in (folder / "files").rglob("*") if path.is_file()]


def test_a_run_that_was_broken_off_goes_on_under_its_id(
    told: Told, broken_off: Callable[[Tracker], None], out: Path
) -> None:
    broken_off(Wandb())
    told(Wandb())
    (begun, steps), (run, all_steps) = (read(folder) for folder in folders(out))
    assert begun.run_id == run.run_id
    assert [one["_step"] for one in steps] == STEPS[:3]
    assert [one["_step"] for one in all_steps] == STEPS  # each folder that is synced replaces the one before it


def test_the_environment_decides(told: Told, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "disabled")
    told(Wandb())
    assert folders(out) == []


def test_with_a_key_it_is_on_line_and_the_server_knows_what_it_has(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, Any] = {}

    def init(**arguments: Any) -> SimpleNamespace:
        asked.update(arguments)
        return SimpleNamespace(starting_step=3)

    monkeypatch.setattr("wandb.init", init)
    monkeypatch.setenv("WANDB_API_KEY", "of the user")
    assert Wandb().begin(TrackedRun("0" * 32, "run", out, {})) == 3
    assert (asked["mode"], asked["resume"], asked["id"]) == ("online", "allow", "0" * 32)
