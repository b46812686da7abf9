"""What trackers are told of runs: which numbers, how often, and what becomes of the run where one of them fails."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from remodal.errors import TrackerFailed
from remodal.learning.run import run
from remodal.learning.settings import RunSettings
from remodal.streams import StreamSettings
from remodal.trackers import TrackedRun


class Notebook:
    """Keeps what it is told. knows: the first step that it says it lacks. fails: where it does."""

    def __init__(self, name: str = "notebook", knows: int = 0, fails: str = "") -> None:
        self.name, self._knows, self._fails = name, knows, fails
        self.runs: list[TrackedRun] = []
        self.told: list[tuple[int, dict[str, float]]] = []
        self.ends: list[bool] = []

    def begin(self, run: TrackedRun) -> int:
        self._may_fail("begin")
        self.runs.append(run)
        return self._knows

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        self._may_fail("log")
        self.told.append((step, dict(metrics)))

    def end(self, finished: bool) -> None:
        self._may_fail("end")
        self.ends.append(finished)

    def _may_fail(self, where: str) -> None:
        if where == self._fails:
            raise OSError(28, "No space left\non device")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four classes of eight sentences."""
    root = tmp_path_factory.mktemp("tracking") / "data"
    for label in ("hot tea", "a ship at sea", "rain and wind", "a game of chess"):
        (root / "text" / label).mkdir(parents=True)
        for number in range(8):
            (root / "text" / label / f"{number}.txt").write_text(f"{label}, {number}")
    return root


def asked(folder: Path, method: str = "nearest-mean", order: str = "random", **options: Any) -> RunSettings:
    of_stream = StreamSettings(classes_per_task=2)
    return RunSettings(stream=str(folder), method=method, order=order, options=options, stream_options=of_stream)


def test_each_step_is_told_once_and_ends_as_the_results_do(folder: Path, tmp_path: Path, lite_cache: Path) -> None:
    notebook = Notebook()
    found = run(asked(folder, "comm", steps=2, realign_steps=2), tmp_path / "run", lite_cache, trackers=[notebook])
    assert [step for step, _ in notebook.told] == [0, 1, 2]
    assert notebook.ends == [True]
    first, second, last = (metrics for _, metrics in notebook.told)
    assert (first["tasks"], second["tasks"], last["tasks"]) == (0, 1, 2)
    assert "seconds" not in first
    for kind in ("aware", "agnostic"):
        for name, value in found["summary"][kind].items():
            assert last[f"{kind}/{name}"] == value, name
        assert [last[f"{kind}_by_task/{task}-text"] for task in range(2)] == found["accuracy"][kind][-1]
        assert last[f"{kind}_by_modality/text"] == found["per_modality"]["text"][kind]
        assert second[f"{kind}/last"] == found["accuracy"][kind][1][0]
    assert last["gap"] == found["summary"]["gap"]
    assert last["router_accuracy"] == found["summary"]["router_accuracy"]
    assert last["cost/seconds/learn"] == pytest.approx(second["seconds"] + last["seconds"])
    records = [json.loads(line) for line in (tmp_path / "run/history.jsonl").read_text().splitlines()]
    of_second = [record["loss"] for record in records if (record["task"], record["stage"]) == (1, "re-align")]
    assert last["loss/re-align"] == of_second[-1]
    assert all(type(value) in (int, float) for _, metrics in notebook.told for value in metrics.values())


def test_what_a_run_is_asked_for_comes_under_flat_names(folder: Path, tmp_path: Path, lite_cache: Path) -> None:
    notebook = Notebook()
    run(asked(folder, "ridge", width=40), tmp_path / "run", lite_cache, trackers=[notebook])
    (begun,) = notebook.runs
    assert (begun.name, begun.folder) == ("run", tmp_path / "run")
    expected = {"method": "ridge", "method.width": 40, "stream.classes_per_task": 2, "device": "cpu"}
    assert expected.items() <= begun.settings.items()
    assert not any(isinstance(value, dict) for value in begun.settings.values())


def test_where_a_step_completes_no_task_nothing_was_measured(folder: Path, tmp_path: Path, lite_cache: Path) -> None:
    notebook = Notebook()
    found = run(asked(folder, order="mixed"), tmp_path / "run", lite_cache, trackers=[notebook])
    assert len(notebook.told) == 1 + len(found["steps"])
    for (_, metrics), step in zip(notebook.told[1:], found["steps"], strict=True):
        assert ("agnostic/last" in metrics) == (step["completes"] is not None)
        assert metrics["seconds"] == step["seconds"]


def test_a_tracker_that_knows_some_steps_is_told_the_others(folder: Path, tmp_path: Path, lite_cache: Path) -> None:
    knows = Notebook(knows=2)
    run(asked(folder), tmp_path / "run", lite_cache, trackers=[knows])
    assert [step for step, _ in knows.told] == [2]


def test_a_finished_run_is_told_afterwards(folder: Path, tmp_path: Path, lite_cache: Path) -> None:
    during, after, old = Notebook(), Notebook(), Notebook()
    run(asked(folder), tmp_path / "run", lite_cache, trackers=[during])
    run(asked(folder), tmp_path / "run", lite_cache, resume=True, trackers=[after])
    assert (after.told, after.ends) == (during.told, [True])
    assert after.runs == during.runs  # the same id

    path = tmp_path / "run/results.json"
    results = json.loads(path.read_text())
    del results["steps"]  # as earlier versions wrote it
    path.write_text(json.dumps(results))
    run(asked(folder), tmp_path / "run", lite_cache, resume=True, trackers=[old])
    assert [step for step, _ in old.told] == [0, 1, 2]


def test_a_run_that_is_stopped_ends_unfinished_and_goes_on_under_its_id(
    folder: Path, tmp_path: Path, lite_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*_: object) -> None:
        raise KeyboardInterrupt

    before, after = Notebook(), Notebook(knows=2)
    monkeypatch.setattr("remodal.learning.run.CHECKPOINT_SECONDS", 0.0)
    monkeypatch.setattr("remodal.learning.run.predict", stopped)
    with pytest.raises(KeyboardInterrupt):
        run(asked(folder), tmp_path / "run", lite_cache, trackers=[before])
    monkeypatch.undo()
    assert ([step for step, _ in before.told], before.ends) == ([0, 1], [False])  # the last comes with the results
    run(asked(folder), tmp_path / "run", lite_cache, resume=True, trackers=[after])
    assert ([step for step, _ in after.told], after.ends) == ([2], [True])
    assert after.runs == before.runs


def test_another_run_in_a_folder_has_another_id(folder: Path, tmp_path: Path, lite_cache: Path) -> None:
    first, second = Notebook(), Notebook()
    out = tmp_path / "run"
    run(asked(folder), out, lite_cache, trackers=[first])
    (out / "results.json").unlink()
    run(asked(folder, "zero-shot"), out, lite_cache, resume=True, trackers=[second])
    assert first.runs[0].id != second.runs[0].id


@pytest.mark.parametrize("fails", ["begin", "log", "end"])
def test_a_tracker_that_fails_is_one_line_and_no_loss(
    folder: Path, tmp_path: Path, lite_cache: Path, fails: str
) -> None:
    broken, sound = Notebook("broken", fails=fails), Notebook()
    with pytest.warns(TrackerFailed) as told:
        found = run(asked(folder), tmp_path / "run", lite_cache, trackers=[broken, sound])
    (line,) = [str(one.message) for one in told]
    assert line == "tracker broken: OSError: [Errno 28] No space left on device; the run goes on without it"
    assert found == json.loads((tmp_path / "run/results.json").read_text())
    assert ([step for step, _ in sound.told], sound.ends) == ([0, 1, 2], [True])


def test_without_trackers_nothing_of_them_is_left(folder: Path, tmp_path: Path, lite_cache: Path) -> None:
    run(asked(folder), tmp_path / "run", lite_cache)
    assert not (tmp_path / "run/tracked.json").exists()
