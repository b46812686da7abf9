"""Several processes that train as one: they learn what one learns, and a killed one costs nothing but time."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import closing
from multiprocessing.context import ForkProcess
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import torch
from forking import forked

PROCESSES = 2
CLOSE = 1e-4
"""How far scores may lie apart where gradients are summed in another order, relative to their size."""


def asked(folder: Path, out: Path, *more: str) -> list[str]:
    settings = ["--method", "comm", "steps=30", "batch=5", "realign_steps=20", "--threads", "1", "--resume"]
    return ["run", "--stream", str(folder), "--out", str(out), *settings, *more]


def begun(cache: Path, *commands: list[str]) -> list[ForkProcess]:
    """Processes as a launcher starts them, one a command."""
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    size = str(len(commands))
    places = {"WORLD_SIZE": size, "LOCAL_WORLD_SIZE": size, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    return [
        forked(cache, *command, RANK=str(rank), LOCAL_RANK=str(rank), **places) for rank, command in enumerate(commands)
    ]


def ended(processes: list[ForkProcess]) -> list[int | None]:
    """How they ended."""
    for process in processes:
        process.join(120)
    return [process.exitcode for process in processes]


def alone(folder: Path, out: Path, cache: Path) -> Path:
    """The folder of a run of one process."""
    assert ended([forked(cache, *asked(folder, out))]) == [0]
    return out


def timeless(run: Path) -> dict[str, Any]:
    """What a run found, without its times and memory."""
    found = json.loads((run / "results.json").read_text())
    del found["cost"]
    for one in (*found["tasks"], *found["steps"]):
        del one["seconds"]
    return found  # type: ignore[no-any-return]


def scores(run: Path) -> torch.Tensor:
    return torch.tensor(pq.read_table(run / "predictions.parquet")["scores"].to_pylist())


def same_bits(one: Path, other: Path) -> bool:
    """What was found, how training went, and what is kept."""
    equal = all(
        (one / name).read_bytes() == (other / name).read_bytes() for name in ("history.jsonl", "predictions.parquet")
    )
    return equal and timeless(one) == timeless(other)


def test_two_processes_learn_what_one_learns(
    folder: Path, tmp_path: Path, graphs_only: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    command = asked(folder, tmp_path / "two")
    assert ended(begun(graphs_only, command, command)) == [0, 0]
    said = capfd.readouterr()
    assert said.out.count("report: ") == 1
    assert "frozen features (8 text): 8 in" in said.err  # a half of them, computed by the first process
    assert said.err.count("task 1/3") == 1
    one, two = alone(folder, tmp_path / "one", graphs_only), tmp_path / "two"
    assert {path.name for path in one.iterdir()} == {path.name for path in two.iterdir()}
    assert timeless(one)["accuracy"] == timeless(two)["accuracy"]
    torch.testing.assert_close(scores(two), scores(one), rtol=CLOSE, atol=CLOSE)


@pytest.fixture(scope="module")
def whole(folder: Path, lite_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two processes that nobody disturbed."""
    out = tmp_path_factory.mktemp("whole") / "run"
    assert ended(begun(lite_cache, *[asked(folder, out)] * PROCESSES)) == [0, 0]
    return out


def appears(path: Path) -> None:
    """Wait until it is there."""
    for _ in range(6000):
        if path.exists():
            return
        time.sleep(0.01)
    raise AssertionError(path)


@pytest.mark.parametrize(
    ("killed", "begun_already"),
    [
        (1, "journal"),
        pytest.param(0, "journal", marks=pytest.mark.long),
        pytest.param(0, "state", marks=pytest.mark.long),
    ],
)
def test_a_process_is_killed_and_the_run_goes_on_to_the_same_bits(
    whole: Path, folder: Path, tmp_path: Path, lite_cache: Path, monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str], killed: int, begun_already: str,
) -> None:  # fmt: skip
    monkeypatch.setattr("remodal.training.trainer.JOURNAL_SECONDS", -1.0)
    monkeypatch.setattr("remodal.learning.run.CHECKPOINT_SECONDS", 0.0)
    command = asked(folder, tmp_path / "run")
    processes = begun(lite_cache, command, command)
    appears(tmp_path / "run" / "checkpoint" / f"{begun_already}.safetensors")
    processes[killed].kill()
    expected = [2, 2]
    expected[killed] = -signal.SIGKILL
    assert ended(processes) == expected
    assert (
        "remodal: another process of this run has ended; the same command goes on with --resume"
        in capfd.readouterr().err
    )
    assert not (tmp_path / "run" / "results.json").exists()
    assert ended(begun(lite_cache, command, command)) == [0, 0]
    assert same_bits(whole, tmp_path / "run")


def test_a_finished_run_is_told_of_by_all(whole: Path, folder: Path, lite_cache: Path) -> None:
    before = (whole / "results.json").read_bytes()
    assert ended(begun(lite_cache, *[asked(folder, whole)] * PROCESSES)) == [0, 0]
    assert (whole / "results.json").read_bytes() == before


def test_processes_that_have_other_data_do_not_learn_together(
    folder: Path, tmp_path: Path, lite_cache: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    other = Path(shutil.copytree(folder, tmp_path / "data"))
    (other / "text/warm/0.txt").write_text("a cup of cold tea")
    out = tmp_path / "run"
    assert 2 in ended(begun(lite_cache, asked(folder, out), asked(other, out)))
    assert "found other data, or another frozen model, in process 1 than in the first" in capfd.readouterr().err
    assert not (out / "results.json").exists()


LAUNCHERS = {
    "accelerate": "accelerate.commands.launch --multi_gpu --num_processes 2 --main_process_port 0 --max_restarts 1",
    "torchrun": "torch.distributed.run --standalone --nproc-per-node 2 --max-restarts 1",
}


@pytest.mark.long  # what a launcher adds: it ends the process that is left, and starts both again
@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_a_launched_process_is_killed_and_the_launcher_starts_all_again(
    whole: Path, folder: Path, tmp_path: Path, lite_cache: Path, launcher: str
) -> None:
    out = tmp_path / "run"
    command = [sys.executable, "-m", *LAUNCHERS[launcher].split(), "-m", "remodal", *asked(folder, out)]
    launched = subprocess.Popen(command, env={**os.environ, "REMODAL_CACHE": str(lite_cache), "OMP_NUM_THREADS": "1"})
    appears(out / "history.jsonl")
    os.kill(second_of(launched.pid), signal.SIGKILL)
    assert launched.wait(240) == 0
    assert same_bits(whole, out)


def second_of(launcher: int) -> int:
    """The process that the launcher has started as the second one."""
    children = Path(f"/proc/{launcher}/task/{launcher}/children").read_text().split()
    (found,) = [one for one in children if b"LOCAL_RANK=1\0" in Path(f"/proc/{one}/environ").read_bytes()]
    return int(found)
