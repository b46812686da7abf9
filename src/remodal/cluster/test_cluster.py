"""What a cluster does is what one machine does, also where a machine dies in the midst of it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from remodal.backbones import Engine
from remodal.cluster import connected
from remodal.cluster.answers import ClusterAnswers
from remodal.cluster.conftest import TwoMachines
from remodal.cluster.execution import executed_on
from remodal.cluster.jobs import ClusterJobs
from remodal.cluster.learning import ClusterLearning
from remodal.cluster.session import address_of
from remodal.cluster.stem import ClusterStem
from remodal.comparison.plan import Plan
from remodal.comparison.processes import Processes
from remodal.comparison.work import run_side_by_side
from remodal.errors import RemodalError
from remodal.features.progress import Counter, Silent
from remodal.features.shared import VARIABLE
from remodal.learning.execution import Execution
from remodal.learning.run import run
from remodal.learning.settings import RunSettings
from remodal.media import Text
from remodal.model import Model

ENGINE = Engine()
INTRUDER = """
import sys
import ray
ray.init(address=sys.argv[1], log_to_driver=False)
print("let in")
"""


class When(Silent):
    """Does something once, when ``steps`` steps of the pieces of work whose name begins so are counted."""

    def __init__(self, name: str, steps: int, do: Callable[[], None]) -> None:
        self.name, self.steps, self.do = name, steps, do
        self.left: int | None = None

    @contextmanager
    def work(self, name: str, total: int) -> Iterator[Counter]:
        counted = 0

        def count(steps: int = 1) -> None:
            nonlocal counted
            counted += steps
            if name.startswith(self.name) and self.left is None and counted >= self.steps:
                self.left = total - counted
                self.do()

        yield count


@pytest.fixture
def shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The place that all machines of the test reach."""
    monkeypatch.setenv(VARIABLE, str(tmp_path / "shared"))
    return tmp_path / "shared"


@pytest.fixture
def cache(graphs_only: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache without features, which this process and the workers use."""
    monkeypatch.setenv("REMODAL_CACHE", str(graphs_only))
    return graphs_only


def predictions(run_folder: Path) -> Any:
    return pq.read_table(run_folder / "predictions.parquet").to_pylist()


def alone(settings: RunSettings, out: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """What a run without a cluster answers, with a cache of its own."""
    with monkeypatch.context() as without:
        without.delenv(VARIABLE, raising=False)
        run(settings, out, Path(shutil.copytree(cache, out.parent / "cache alone")))
    return predictions(out)


def test_an_engine_is_named_in_one_way() -> None:
    for found in ("rya", "ray:", "spark"):
        with pytest.raises(RemodalError, match=f"engine: found '{found}'; valid: ray, or ray:ADDRESS"):
            address_of(found)


def test_a_cluster_needs_a_place_that_all_reach(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    with (
        pytest.raises(RemodalError, match="found no place for features that all its machines reach; valid: REMODAL_SH"),
        connected("ray:10.0.0.1:6379", tmp_path),
    ):
        pass


def test_a_run_on_this_machines_own_cluster(
    folder: Path, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a bad file among the others, which is set aside as ever."""
    pytest.importorskip("ray")
    data = Path(shutil.copytree(folder, tmp_path / "data"))
    (data / "image" / "warm" / "bad.png").write_bytes(b"no picture")
    settings = RunSettings(stream=str(data), method="remodal")
    expected = alone(settings, tmp_path / "alone", cache, monkeypatch)
    with executed_on("ray", settings, ENGINE, cache) as execution:
        done = run(settings, tmp_path / "spread", cache, execution=execution)
    assert predictions(tmp_path / "spread") == expected
    assert [one["path"].endswith("bad.png") for one in done["quarantined"]] == [True]
    assert list((cache / "shared").glob("*.parquet"))


@pytest.mark.long
def test_a_machine_dies_during_the_stem_pass(
    folder: Path, cache: Path, shared: Path, machines: TwoMachines, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = RunSettings(stream=str(folder), method="nearest-mean")
    expected = alone(settings, tmp_path / "alone", cache, monkeypatch)
    dying = When("frozen features on", 1, machines.kill)
    with connected(machines.engine, cache) as cluster:
        assert cluster.cpus == 2
        stem = ClusterStem(cluster, settings, ENGINE)
        run(settings, tmp_path / "spread", cache, progress=dying, execution=Execution(stem))
    assert dying.left
    assert predictions(tmp_path / "spread") == expected


@pytest.mark.long
@pytest.mark.parametrize("method", ["remodal", "nearest-mean"])
def test_a_machine_dies_while_a_task_is_learned(
    method: str,
    folder: Path,
    cache: Path,
    shared: Path,
    machines: TwoMachines,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = RunSettings(stream=str(folder), method=method)
    expected = alone(settings, tmp_path / "alone", cache, monkeypatch)
    killed = threading.Event()

    def kill_one_that_works() -> None:
        import ray

        while not killed.is_set():
            if ray.available_resources().get("CPU", 0) < 1:  # both learn
                machines.kill()
                killed.set()
            time.sleep(0.05)

    with connected(machines.engine, cache) as cluster:
        learning = ClusterLearning(cluster, settings, ENGINE, fewest=2)
        killer = threading.Thread(target=kill_one_that_works)
        killer.start()
        run(settings, tmp_path / "spread", cache, execution=Execution(learn=learning))
        assert killed.is_set()
        killer.join()
    for found, wanted in zip(predictions(tmp_path / "spread"), expected, strict=True):
        scores, others = found.pop("scores"), wanted.pop("scores")
        assert found == wanted
        assert np.argmax(scores) == np.argmax(others)
        if method == "nearest-mean":  # which chooses nothing on items that are left out
            assert scores == pytest.approx(others, rel=1e-5)


@pytest.mark.long
def test_a_machine_dies_while_a_table_is_run(
    folder: Path, cache: Path, shared: Path, machines: TwoMachines, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = Plan(str(folder), methods=("nearest-mean", "ridge"), seeds=(0, 1, 2))
    with monkeypatch.context() as without:
        without.delenv(VARIABLE)
        here = Path(shutil.copytree(cache, tmp_path / "cache alone"))
        run_side_by_side(plan.runs(tmp_path / "alone"), here, Processes(1, here), Silent())
    dying = When("cells", 1, machines.kill)
    with connected(machines.engine, cache):
        outcome = run_side_by_side(plan.runs(tmp_path / "spread"), cache, ClusterJobs(), dying)
    assert dying.left
    assert outcome == ([], 0)
    for cell in plan.cells:
        found, wanted = (predictions(tmp_path / table / "runs" / cell.name) for table in ("spread", "alone"))
        assert found == wanted


def test_answers_come_in_their_order_and_a_bad_file_has_its_own(
    saved: Path, folder: Path, cache: Path, tmp_path: Path
) -> None:
    pytest.importorskip("ray")
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"no picture")
    media = [*sorted(folder.rglob("*.*")), bad, Text("a cup of tea"), *sorted(folder.rglob("*.wav"))] * 2
    load = partial(Model.load, saved)
    model = load()
    with connected("ray", cache) as cluster:
        found = list(ClusterAnswers(cluster, model, load)(media, top=2))
    for one, other in zip(found, model.answers(media, top=2), strict=True):
        assert (one.medium, one.best, one.problem) == (other.medium, other.best, other.problem)


@pytest.mark.long
def test_who_does_not_have_the_token_is_not_let_in(cache: Path) -> None:
    ray = pytest.importorskip("ray")
    with connected("ray", cache):
        address = ray.get_runtime_context().gcs_address
        without = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
        for token in ({"RAY_AUTH_MODE": "disabled"}, {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": 32 * "00"}):
            tried = subprocess.run(
                [sys.executable, "-c", INTRUDER, address], env={**without, **token}, capture_output=True, text=True
            )
            assert tried.returncode != 0
            assert "let in" not in tried.stdout
            assert "token" in tried.stderr
