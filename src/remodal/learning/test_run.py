"""A run on real files: its folder, what it sets aside, and its orders."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from remodal.backbones import Engine
from remodal.errors import RemodalError
from remodal.learning.run import run
from remodal.learning.settings import RunSettings
from remodal.streams import StreamSettings, stream

KEYS = {
    "schema", "stream", "order", "seed", "method", "backbone", "features", "settings", "tasks", "accuracy", "summary",
    "steps", "per_modality", "cost", "quarantined", "repeated", "versions",
}  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Four classes of eight sentences."""
    for label, text in {
        "tea": "hot tea",
        "ship": "a ship at sea",
        "rain": "rain and wind",
        "chess": "a game of chess",
    }.items():
        place = tmp_path / "data" / "text" / label
        place.mkdir(parents=True)
        for number in range(8):
            (place / f"{number}.txt").write_text(f"{text}, {number}")
    return tmp_path / "data"


def asked(folder: Path, method: str = "nearest-mean") -> RunSettings:
    return RunSettings(stream=str(folder), method=method, stream_options=StreamSettings(classes_per_task=2))


def test_the_run_folder_is_the_contract(folder: Path, tmp_path: Path, lite_cache: Path) -> None:
    out = tmp_path / "run"
    found = run(asked(folder, "comm"), out, lite_cache)
    assert set(found) == KEYS
    assert found == json.loads((out / "results.json").read_text())
    assert [len(rows) for rows in found["accuracy"].values()] == [3, 3]
    assert all(len(row) == 2 for rows in found["accuracy"].values() for row in rows)
    assert found["summary"]["router_confusion"]["counts"][4][4] == sum(task["test"] for task in found["tasks"])
    assert found["cost"]["stored_bytes"] > 0
    assert {"results.json", "settings.json", "history.jsonl", "predictions.parquet"} == {
        path.name for path in out.iterdir()
    }
    stages = {json.loads(line)["stage"] for line in (out / "history.jsonl").read_text().splitlines()}
    assert stages == {"adapt", "re-align"}  # one modality a tower: the router has nothing to learn


def test_predictions_are_enough_to_recompute_the_accuracy(folder: Path, tmp_path: Path, lite_cache: Path) -> None:
    found = run(asked(folder), tmp_path / "run", lite_cache)
    table = pq.read_table(tmp_path / "run" / "predictions.parquet").to_pydict()
    candidates = json.loads(pq.read_schema(tmp_path / "run" / "predictions.parquet").metadata[b"candidates"])
    for task in range(2):
        own = [row for row, index in enumerate(table["task"]) if index == task]
        best = [max(range(len(candidates)), key=table["scores"][row].__getitem__) for row in own]
        right = sum(candidates[at][1] == table["label"][row] for at, row in zip(best, own, strict=True))
        assert right / len(own) == found["accuracy"]["agnostic"][-1][task]


def test_a_bad_item_is_set_aside_and_the_run_goes_on(folder: Path, tmp_path: Path, lite_cache: Path) -> None:
    (folder / "text" / "tea" / "bad.txt").write_bytes(b"caf\xe9")
    (folder / "text" / "tea" / "empty.txt").write_bytes(b"")
    found = run(asked(folder), tmp_path / "run", lite_cache)
    assert {one["path"] for one in found["quarantined"]} == {"text/tea/bad.txt", "text/tea/empty.txt"}
    assert sum(task["train"] + task["test"] for task in found["tasks"]) == 32


def test_strict_stops_at_a_bad_item(folder: Path, tmp_path: Path, lite_cache: Path) -> None:
    (folder / "text" / "tea" / "bad.txt").write_bytes(b"caf\xe9")
    with pytest.raises(RemodalError, match=r"text/tea/bad.txt: .*UTF-8.*strict"):
        run(asked(folder), tmp_path / "run", lite_cache, strict=True)


def test_what_a_resumed_run_did_earlier_is_counted_too(
    folder: Path, tmp_path: Path, lite_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop_on_the_way(folder, tmp_path / "run", lite_cache, monkeypatch)
    seconds = run(asked(folder), tmp_path / "run", lite_cache, resume=True)["cost"]["seconds"]
    total, earlier = seconds.pop("total"), seconds.pop("earlier")
    assert earlier > 0
    assert sum(seconds.values()) == pytest.approx(total + earlier)
    assert seconds["other"] >= 0


def stopped(*_: object) -> None:
    """Ctrl-C."""
    raise KeyboardInterrupt


def stop_on_the_way(folder: Path, out: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that is stopped while it measures its first task, with a checkpoint behind it."""
    monkeypatch.setattr("remodal.learning.run.CHECKPOINT_SECONDS", 0.0)
    monkeypatch.setattr("remodal.learning.run.predict", stopped)
    with pytest.raises(KeyboardInterrupt):
        run(asked(folder), out, cache)
    monkeypatch.undo()


def a_class_came(folder: Path) -> None:
    shutil.copytree(folder / "text/tea", folder / "text/coffee")


def a_class_went(folder: Path) -> None:
    shutil.rmtree(folder / "text/tea")


def another_of_the_same_shape(folder: Path) -> None:
    for file in folder.rglob("*.txt"):
        file.write_text(file.read_text().upper())


def classes_changed_places(folder: Path) -> None:
    (folder / "text/tea").rename(folder / "text/was")
    (folder / "text/ship").rename(folder / "text/tea")
    (folder / "text/was").rename(folder / "text/ship")


@pytest.mark.parametrize("change", [a_class_came, a_class_went, another_of_the_same_shape, classes_changed_places])
def test_a_run_does_not_go_on_with_other_data(
    folder: Path, tmp_path: Path, lite_cache: Path, monkeypatch: pytest.MonkeyPatch, change: Callable[[Path], None]
) -> None:
    stop_on_the_way(folder, tmp_path / "run", lite_cache, monkeypatch)
    shutil.copytree(folder, tmp_path / "kept")
    change(folder)
    with pytest.raises(RemodalError, match=r"/run: the data .* changed since this run was stopped"):
        run(asked(folder), tmp_path / "run", lite_cache, resume=True)
    shutil.rmtree(folder)
    shutil.copytree(tmp_path / "kept", folder)
    assert run(asked(folder), tmp_path / "run", lite_cache, resume=True)["tasks"]


def test_a_step_that_was_broken_off_does_not_go_on_with_other_data(
    folder: Path, tmp_path: Path, lite_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("remodal.training.trainer.JOURNAL_SECONDS", -1.0)
    monkeypatch.setattr("remodal.methods.comm.Comm.state", stopped)
    monkeypatch.setattr("remodal.learning.run.CHECKPOINT_SECONDS", 0.0)
    with pytest.raises(KeyboardInterrupt):
        run(asked(folder, "comm"), tmp_path / "run", lite_cache)
    monkeypatch.undo()
    assert [path.name for path in (tmp_path / "run/checkpoint").iterdir()] == ["journal.safetensors"]
    another_of_the_same_shape(folder)
    with pytest.raises(RemodalError, match=r"the data .* changed since this run was stopped"):
        run(asked(folder, "comm"), tmp_path / "run", lite_cache, resume=True)


def test_items_that_are_learned_from_and_measured_on_are_told_of(
    folder: Path, tmp_path: Path, lite_cache: Path
) -> None:
    assert run(asked(folder), tmp_path / "clean", lite_cache)["repeated"] == []
    for file in (folder / "text/tea").iterdir():
        file.write_text("one and the same")
    assert run(asked(folder), tmp_path / "run", lite_cache)["repeated"] == [
        item.id for task in stream(folder) for item in task.test if item.label == "tea"
    ]


def test_a_folder_keeps_its_run(folder: Path, tmp_path: Path, lite_cache: Path) -> None:
    out = tmp_path / "run"
    first = run(asked(folder), out, lite_cache)
    with pytest.raises(RemodalError, match=r"holds a finished run; choose another with --out, .*: rm -r "):
        run(asked(folder), out, lite_cache)
    assert run(asked(folder), out, lite_cache, resume=True) == first
    with pytest.raises(RemodalError, match="method"):
        run(asked(folder, "zero-shot"), out, lite_cache, resume=True)


def test_what_a_kill_right_after_the_results_has_left_goes(folder: Path, tmp_path: Path, lite_cache: Path) -> None:
    out = tmp_path / "run"
    found = run(asked(folder), out, lite_cache)
    (out / "checkpoint").mkdir()
    (out / "checkpoint/state.safetensors").write_bytes(b"of the last step")
    assert run(asked(folder), out, lite_cache, resume=True) == found
    assert not (out / "checkpoint").exists()


def test_what_it_was_computed_on_is_recorded(folder: Path, tmp_path: Path, lite_cache: Path) -> None:
    found = run(asked(folder), tmp_path / "run", lite_cache)
    assert (found["versions"]["device"], found["versions"]["dtype"]) == ("cpu", "float32")


def test_a_run_goes_on_as_precisely_as_it_began(
    folder: Path, tmp_path: Path, lite_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop_on_the_way(folder, tmp_path / "run", lite_cache, monkeypatch)
    with pytest.raises(RemodalError, match="was begun with --device cpu --dtype float32; go on so, or choose another"):
        run(asked(folder), tmp_path / "run", lite_cache, resume=True, engine=Engine.of("cpu", "bfloat16"))
    first = run(asked(folder), tmp_path / "run", lite_cache, resume=True)
    again = run(asked(folder), tmp_path / "run", lite_cache, resume=True, engine=Engine.of("cpu", "bfloat16"))
    assert again == first  # a finished run is the same run, whatever it was computed on


def test_a_run_of_before_a_setting_came_is_the_same_run(folder: Path, tmp_path: Path, lite_cache: Path) -> None:
    out = tmp_path / "run"
    first = run(asked(folder), out, lite_cache)
    settings = json.loads((out / "settings.json").read_text())
    del settings["settings"]["stream"]["disguised"], settings["settings"]["backbone"]
    del settings["device"], settings["dtype"]
    (out / "settings.json").write_text(json.dumps(settings))
    assert run(asked(folder), out, lite_cache, resume=True) == first
    other = asked(folder).model_copy(update={"stream_options": StreamSettings(classes_per_task=2, disguised=True)})
    with pytest.raises(RemodalError, match="settings differ"):
        run(other, out, lite_cache, resume=True)


def test_a_method_that_knows_no_names_says_nothing_of_tasks_to_come(
    folder: Path, tmp_path: Path, lite_cache: Path
) -> None:
    matrix = run(asked(folder), tmp_path / "run", lite_cache)["accuracy"]["aware"]
    assert matrix[0] == [None, None]
    assert matrix[1][0] is not None
    assert matrix[1][1] is None


def test_the_frozen_model_retains_its_zero_shot_ability(folder: Path, tmp_path: Path, lite_cache: Path) -> None:
    found = run(asked(folder, "zero-shot"), tmp_path / "run", lite_cache)
    assert found["summary"]["zero_shot_retention"] == 1.0
    assert found["summary"]["aware"]["fwt"] == 0.0
