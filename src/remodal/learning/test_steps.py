"""Streams whose tasks don't come whole: runs over ``mixed`` and ``blurry``, killed ones too, and what can't be used."""

from __future__ import annotations

import json
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image
from torch import Tensor

from remodal.backbones.lite.lite import Lite
from remodal.errors import Stopped
from remodal.features.store import FeatureStore
from remodal.learning.checkpoint import FileJournal, write_state
from remodal.learning.evaluate import Accuracy, accuracy, score
from remodal.learning.opening import open_stream_for
from remodal.learning.prepare import PreparedStream, prepare
from remodal.learning.run import run
from remodal.learning.settings import RunSettings
from remodal.methods.base import Method
from remodal.streams import Item, Stream, StreamSettings, stream
from remodal.streams.files import FileItem
from remodal.training.adamw import adamw

TEXTS = {"tea": "hot tea", "ship": "a ship at sea", "rain": "rain and wind", "chess": "a game of chess"}
COLOURS = {"red": (200, 0, 0), "green": (0, 200, 0), "blue": (0, 0, 200), "grey": (90, 90, 90)}
EACH = 12
TRAIN = 9
"""Of the items of a class: the default split takes a quarter."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four classes of twelve sentences, four of twelve pictures."""
    root = tmp_path_factory.mktemp("steps") / "data"
    draws = np.random.default_rng(0)
    for label, text in TEXTS.items():
        (root / "text" / label).mkdir(parents=True)
        for number in range(EACH):
            (root / "text" / label / f"{number}.txt").write_text(f"{text}, {number}")
    for label, colour in COLOURS.items():
        (root / "image" / label).mkdir(parents=True)
        for number in range(EACH):
            noise = draws.integers(0, 50, (24, 24, 3), dtype=np.uint8)
            Image.fromarray(noise + np.array(colour, np.uint8)).save(root / "image" / label / f"{number}.png")
    return root


def asked(folder: Path, order: str, method: str = "nearest-mean", **options: Any) -> RunSettings:
    of_stream = StreamSettings(classes_per_task=2)
    return RunSettings(stream=str(folder), method=method, order=order, options=options, stream_options=of_stream)


def test_mixed_measures_each_task_after_its_last_turn(folder: Path, tmp_path: Path, lite_cache: Path) -> None:
    found = run(asked(folder, "mixed"), tmp_path / "run", lite_cache)
    steps, tasks = found["steps"], found["tasks"]
    assert [step["completes"] for step in steps] == [None, None, None, None, 0, 1, None, None, None, None, 2, 3]
    for first, second in ((0, 1), (2, 3)):
        assert tasks[first]["modality"] != tasks[second]["modality"]
    for index, step in enumerate(steps):
        task = tasks[index // 6 * 2 + index % 2]
        assert (step["modality"], step["classes"]) == (task["modality"], task["classes"])
        assert step["items"] == 2 * TRAIN / 3
    assert [task["train"] for task in tasks] == [2 * TRAIN] * 4
    assert [len(rows) for rows in found["accuracy"].values()] == [5, 5]
    assert found["summary"]["agnostic"]["last"] > 0.9
    assert sum(task["seconds"] for task in tasks) == pytest.approx(found["cost"]["seconds"]["learn"])


def test_in_mixed_a_task_that_has_begun_is_none_to_come(folder: Path, tmp_path: Path, lite_cache: Path) -> None:
    found = run(asked(folder, "mixed", "zero-shot"), tmp_path / "zero-shot", lite_cache)
    assert found["summary"]["aware"]["fwt"] == 0
    learned = run(asked(folder, "mixed"), tmp_path / "run", lite_cache)["accuracy"]["aware"]
    assert learned[0] == [None] * 4
    assert None not in learned[1][:2]  # when the first of two tasks is complete, the other one has begun
    assert learned[1][2:] == [None] * 2


def test_blurry_classes_return(folder: Path, tmp_path: Path, lite_cache: Path) -> None:
    found = run(asked(folder, "blurry"), tmp_path / "run", lite_cache)
    steps, tasks = found["steps"], found["tasks"]
    assert [step["completes"] for step in steps] == [0, 1, 2, 3]
    back = int(0.3 * TRAIN)
    first: set[str] = set()
    for step, task in zip(steps, tasks, strict=True):
        again = task["modality"] in first
        first.add(task["modality"])
        assert step["classes"][:2] == task["classes"]
        assert len(step["classes"]) == (4 if again else 2)
        assert step["items"] == 2 * TRAIN + (2 * back if again else -2 * back)
    assert [task["train"] for task in tasks] == [2 * TRAIN] * 4
    assert found["summary"]["agnostic"]["last"] > 0.9
    assert sum(task["seconds"] for task in tasks) == pytest.approx(found["cost"]["seconds"]["learn"])


class Killed(BaseException):
    """The process ends here."""


def timeless(found: dict[str, Any]) -> dict[str, Any]:
    """Results without times and memory."""
    cost = {key: value for key, value in found["cost"].items() if key not in ("seconds", "peak_memory_bytes")}
    parts = {
        part: [{key: value for key, value in one.items() if key != "seconds"} for one in found[part]]
        for part in ("tasks", "steps")
    }
    return {**found, "cost": cost, **parts}


@pytest.mark.parametrize(
    ("order", "kept"),
    [
        pytest.param("mixed", 0.0, id="mixed, a checkpoint a step"),
        pytest.param("blurry", 1e9, id="blurry, no checkpoint but the journal"),
        pytest.param("blurry", 0.0, id="blurry, a checkpoint a step", marks=pytest.mark.long),
        pytest.param("mixed", 1e9, id="mixed, no checkpoint but the journal", marks=pytest.mark.long),
    ],
)
def test_a_run_that_is_killed_in_mid_step_goes_on_to_the_same_bits(
    folder: Path, tmp_path: Path, lite_cache: Path, monkeypatch: pytest.MonkeyPatch, order: str, kept: float
) -> None:
    monkeypatch.setattr("remodal.training.trainer.JOURNAL_SECONDS", -1.0)
    monkeypatch.setattr("remodal.learning.run.CHECKPOINT_SECONDS", kept)
    settings = asked(folder, order, "comm", steps=6, batch=8, realign_steps=5)
    save, saved = FileJournal.save, 0

    def counted(journal: FileJournal, *arguments: Any) -> None:
        nonlocal saved
        save(journal, *arguments)
        saved += 1
        if saved in kills:
            raise Killed

    monkeypatch.setattr(FileJournal, "save", counted)
    kills: set[int] = set()
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    expected = run(settings, whole, lite_cache, keep=kept_in(whole))
    kills = {saved + saved * part // 4 for part in (1, 2, 3)}
    for _ in kills:
        with pytest.raises(Killed):
            run(settings, killed, lite_cache, resume=True, keep=kept_in(killed))
    found = run(settings, killed, lite_cache, resume=True, keep=kept_in(killed))
    assert timeless(found) == timeless(expected)
    for name in ("history.jsonl", "predictions.parquet", "learned.safetensors"):
        assert (killed / name).read_bytes() == (whole / name).read_bytes(), name
    records = [json.loads(line) for line in (whole / "history.jsonl").read_text().splitlines()]
    assert {record["task"] for record in records} == set(range(len(found["steps"])))


def test_a_run_that_stops_wherever_it_may_does_nothing_twice_and_counts_all_its_seconds(
    folder: Path, tmp_path: Path, lite_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = asked(folder, "random", "comm", steps=2, batch=16, realign_steps=2)
    opened = open_stream_for(settings, lite_cache)
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    expected = run(settings, whole, lite_cache, opened=opened)

    steps = scored = predicted = stops = 0

    def slow_step(*arguments: Any) -> None:
        nonlocal steps
        steps += 1
        time.sleep(0.01)
        adamw(*arguments)

    def counted_accuracy(*arguments: Any) -> Accuracy:
        nonlocal scored
        scored += 1
        return accuracy(*arguments)

    def counted_score(*arguments: Any) -> Tensor:
        nonlocal predicted
        predicted += 1
        return score(*arguments)

    monkeypatch.setattr("remodal.training.trainer.JOURNAL_SECONDS", -1.0)
    monkeypatch.setattr("remodal.training.adamw.adamw", slow_step)
    monkeypatch.setattr("remodal.learning.run.accuracy", counted_accuracy)
    monkeypatch.setattr("remodal.learning.predictions.score", counted_score)
    while not (parts / "results.json").exists():
        try:
            found = run(settings, parts, lite_cache, opened=opened, resume=True, stop=lambda: True)
        except Stopped:
            stops += 1
    assert timeless(found) == timeless(expected)
    for name in ("history.jsonl", "predictions.parquet"):
        assert (parts / name).read_bytes() == (whole / name).read_bytes(), name
    tasks = len(expected["tasks"])
    assert (scored, predicted) == ((tasks + 1) * tasks, tasks)
    # after each step of training, each task that was learned, each one that was scored
    assert stops == steps + tasks + scored + predicted
    seconds = found["cost"]["seconds"]
    assert seconds["learn"] >= 0.01 * steps
    total, earlier = seconds.pop("total"), seconds.pop("earlier")
    assert sum(seconds.values()) == pytest.approx(total + earlier)
    assert seconds["other"] >= 0


def kept_in(folder: Path) -> Callable[[Method, object], None]:
    """Keeps what was learned in ``folder``."""
    return lambda method, _: write_state(folder / "learned.safetensors", method.state())


def test_predictions_are_those_of_the_tasks(folder: Path, tmp_path: Path, lite_cache: Path) -> None:
    found = run(asked(folder, "mixed"), tmp_path / "run", lite_cache)
    table = pq.read_table(tmp_path / "run" / "predictions.parquet").to_pydict()
    assert Counter(table["task"]) == {task["index"]: task["test"] for task in found["tasks"]}
    for label, task in zip(table["label"], table["task"], strict=True):
        assert label in found["tasks"][task]["classes"]


@pytest.fixture
def own(folder: Path, tmp_path: Path) -> Path:
    """A copy of the folder, whose files may be damaged."""
    return Path(shutil.copytree(folder, tmp_path / "own"))


def damaged(made: Stream, items: Iterable[Item], lite: Lite, cache: Path) -> PreparedStream:
    """The stream after the files of ``items`` were emptied."""
    for item in items:
        assert isinstance(item, FileItem)
        item.file.write_bytes(b"")
    with FeatureStore(cache / "features") as store:
        return prepare(made, lite, store)


def test_a_task_whose_last_turn_cannot_be_used_is_complete_all_the_same(
    own: Path, tmp_path: Path, lite: Lite, lite_cache: Path
) -> None:
    made = stream(own, order="mixed", classes_per_task=2)
    (last,) = (step for step in made.steps if step.completes == 0)
    prepared = damaged(made, last.train, lite, lite_cache)
    (emptied,) = (step for step in prepared.steps if step.completes == 0)
    assert emptied.train is None
    found = run(asked(own, "mixed"), tmp_path / "run", lite_cache, opened=(lite, prepared))
    assert len(found["accuracy"]["agnostic"]) == 5
    assert [step["items"] for step in found["steps"]].count(0) == 1
    assert found["accuracy"]["agnostic"][1][0] > 0.5  # two turns were learned


def test_a_class_that_is_left_out_of_its_task_is_left_out_of_every_step(
    own: Path, lite: Lite, lite_cache: Path
) -> None:
    made = stream(own, order="blurry", classes_per_task=2)
    gone = made.tasks[0].classes[0]
    prepared = damaged(made, (item for item in made.tasks[0].test if item.label == gone), lite, lite_cache)
    assert len(prepared.tasks) == 4
    kept = {column for task in prepared.tasks for column in task.columns}
    assert {column for step in prepared.steps for column in step.columns} == kept
    assert (made.tasks[0].modality, gone) not in kept
    assert len(kept) == 7


def test_the_steps_of_a_task_that_is_left_out_are_too_but_for_what_returns_in_them(
    own: Path, tmp_path: Path, lite: Lite, lite_cache: Path
) -> None:
    made = stream(own, order="blurry", classes_per_task=2)
    late = next(step.completes for step in made.steps if len(step.classes) == 4)
    assert late is not None
    prepared = damaged(made, made.tasks[late].test, lite, lite_cache)
    assert [step.completes for step in prepared.steps if step.completes is not None] == [0, 1, 2]
    (returning,) = (step for step in prepared.steps if step.completes is None)
    earlier = next(task for task in made.tasks if task.modality == returning.modality)
    assert {column.name for column in returning.columns} == set(earlier.classes)
    found = run(asked(own, "blurry"), tmp_path / "run", lite_cache, opened=(lite, prepared))
    assert len(found["accuracy"]["agnostic"]) == 4

    made = stream(own, order="mixed", classes_per_task=2)
    prepared = damaged(made, (), lite, lite_cache)
    assert [step.completes for step in prepared.steps if step.completes is not None] == [0, 1, 2]
    assert len(prepared.steps) == 9
