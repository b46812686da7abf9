"""``kill -9`` at any moment, then the same command with ``--resume``: the same results, bit for bit."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
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


def command(stream: Path, out: Path, order: str) -> list[str]:
    asked = [
        "--method",
        "comm",
        "--order",
        order,
        "--stream",
        str(stream),
        "--out",
        str(out),
        "--resume",
        "epochs=250",
        "batch=8",
        "stream.classes_per_task=2",
    ]
    return [sys.executable, "-m", "remodal", "run", "--threads", "1", *asked]


def started(stream: Path, out: Path, cache: Path, order: str) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "REMODAL_CACHE": str(cache)}
    return subprocess.Popen(
        command(stream, out, order), env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )


def finished(stream: Path, out: Path, cache: Path, order: str) -> float:
    """Run to the end; the seconds it took."""
    begun = time.monotonic()
    process = started(stream, out, cache, order)
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors.decode()
    return time.monotonic() - begun


def timeless(results: dict[str, Any]) -> dict[str, Any]:
    """Results without times and memory."""
    cost = {key: value for key, value in results["cost"].items() if key not in ("seconds", "peak_memory_bytes")}
    tasks = [{key: value for key, value in task.items() if key != "seconds"} for task in results["tasks"]]
    return {**results, "cost": cost, "tasks": tasks}


@pytest.mark.parametrize("order", ["random", "mixed"])
def test_killed_at_random_moments(stream: Path, tmp_path: Path, graphs_only: Path, order: str) -> None:
    cache, whole = graphs_only, tmp_path / "whole"
    seconds = finished(stream, whole, cache, order)
    shutil.rmtree(cache / "features")  # so that kills fall into the stem pass and its writing too

    draws, killed = random.Random(0), tmp_path / "killed"  # noqa: S311  # not for secrets
    kills = 0
    while kills < KILLS:
        process = started(stream, killed, cache, order)
        try:
            process.wait(timeout=draws.uniform(0.25, 0.6) * seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            kills += 1
        if (killed / "results.json").exists():
            if kills >= 2:
                break
            # the machine was slower when the whole run was timed: once more, and sooner
            shutil.rmtree(killed)
            kills, seconds = 0, 0.7 * seconds
    finished(stream, killed, cache, order)

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
    finished(stream, out, cache, "random")
    before = (out / "results.json").read_bytes()
    finished(stream, out, cache, "random")
    assert (out / "results.json").read_bytes() == before
