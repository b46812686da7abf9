"""``kill -9`` at any moment, then the same command with ``--resume``: the same results, bit for bit."""

from __future__ import annotations

import json
import random
import shutil
import time
from collections.abc import Callable
from multiprocessing.context import ForkProcess
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from forking import executed, forked
from PIL import Image

KILLS = 5
TEXTS = {
    "weather": "rain snow wind storm cloud sun fog hail frost heat",
    "food": "bread soup cheese rice apple cake fish salad honey beans",
    "music": "piano violin drum flute choir guitar organ harp trumpet banjo",
    "sport": "tennis rowing boxing skiing judo archery hockey golf fencing diving",
}


@pytest.fixture(scope="module")
def stream(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small folder of sentences and pictures."""
    root = tmp_path_factory.mktemp("data") / "small"
    for label, words in TEXTS.items():
        (root / "text" / label).mkdir(parents=True)
        for index, word in enumerate(words.split()):
            (root / "text" / label / f"{index}.txt").write_text(f"this is about {word} number {index}")
    draws = np.random.default_rng(0)
    for label, channel in {"red": 0, "green": 1, "blue": 2}.items():
        (root / "image" / label).mkdir(parents=True)
        for index in range(10):
            pixels = draws.integers(0, 90, (40, 40, 3), dtype=np.uint8)
            pixels[..., channel] += 120
            Image.fromarray(pixels).save(root / "image" / label / f"{index}.png")
    return root


Begin = Callable[..., ForkProcess]


def begun(begin: Begin, stream: Path, out: Path, cache: Path, *asked: object) -> ForkProcess:
    """A run that goes on where it was killed."""
    always = ("--stream", stream, "--method", "comm", "--out", out, "--threads", 1, "--resume")
    return begin(cache, "run", *always, "batch=8", "stream.classes_per_task=2", *asked)


def finished(begin: Begin, stream: Path, out: Path, cache: Path, *asked: object) -> float:
    """Run to the end; the seconds it took."""
    started = time.monotonic()
    process = begun(begin, stream, out, cache, *asked)
    process.join(300)
    assert process.exitcode == 0
    return time.monotonic() - started


def timeless(results: dict[str, Any]) -> dict[str, Any]:
    """Results without times and memory."""
    cost = {key: value for key, value in results["cost"].items() if key not in ("seconds", "peak_memory_bytes")}
    parts = {
        part: [{key: value for key, value in one.items() if key != "seconds"} for one in results[part]]
        for part in ("tasks", "steps")
    }
    return {**results, "cost": cost, **parts}


@pytest.mark.parametrize(
    ("begin", "asked"),
    [
        (forked, ["--order", "mixed", "steps=10", "realign_steps=20"]),
        pytest.param(executed, ["--order", "mixed", "steps=250"], marks=pytest.mark.long),
        pytest.param(executed, ["--order", "random", "steps=250"], marks=pytest.mark.long),
    ],
    ids=["forked", "mixed", "random"],
)
def test_killed_at_random_moments(
    stream: Path, tmp_path: Path, graphs_only: Path, monkeypatch: pytest.MonkeyPatch, begin: Begin, asked: list[str]
) -> None:
    monkeypatch.setattr("remodal.training.trainer.JOURNAL_SECONDS", 0.1)  # for those that are forked
    monkeypatch.setattr("remodal.learning.run.CHECKPOINT_SECONDS", 0.2)
    cache, whole = graphs_only, tmp_path / "whole"
    seconds = finished(begin, stream, whole, cache, *asked)
    shutil.rmtree(cache / "features")  # so that kills fall into the stem pass and its writing too

    draws, killed = random.Random(0), tmp_path / "killed"  # noqa: S311  # not for secrets
    kills = 0
    while kills < KILLS:
        process = begun(begin, stream, killed, cache, *asked)
        process.join(draws.uniform(0.25, 0.6) * seconds)
        if process.exitcode is None:
            process.kill()
            process.join()
            kills += 1
        if (killed / "results.json").exists():
            if kills >= 2:
                break
            # the machine was slower when the whole run was timed: once more, and sooner
            shutil.rmtree(killed)
            kills, seconds = 0, 0.7 * seconds
    finished(begin, stream, killed, cache, *asked)

    expected, found = (json.loads((folder / "results.json").read_text()) for folder in (whole, killed))
    assert timeless(found) == timeless(expected)
    tables = [pq.read_table(folder / "predictions.parquet") for folder in (whole, killed)]
    assert tables[0].equals(tables[1])
    histories = [(folder / "history.jsonl").read_text() for folder in (whole, killed)]
    assert histories[0] == histories[1]
    # named by what they hold
    models = [{file.name for file in (folder / "model/tensors").iterdir()} for folder in (whole, killed)]
    assert models[0] == models[1] != set()
    assert not (killed / "checkpoint").exists()


def test_a_finished_run_is_not_run_again(stream: Path, tmp_path: Path, lite_cache: Path) -> None:
    cache, out = lite_cache, tmp_path / "run"
    finished(forked, stream, out, cache, "steps=2")
    before = (out / "results.json").read_bytes()
    finished(forked, stream, out, cache, "steps=2")
    assert (out / "results.json").read_bytes() == before
