"""The modality told, as a user tells it: to a server, and on the command line."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from serving import served

import remodal
from remodal.modalities import MODALITIES
from remodal.search import Index, keep_up
from remodal.streams import export


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """One held-out file of each modality of the embedded stream."""
    folder = tmp_path_factory.mktemp("media") / "everyday"
    export("everyday", folder, split="test", items=1)
    with (folder / "manifest.csv").open(encoding="utf-8") as manifest:
        return {row["modality"]: folder / row["path"] for row in csv.DictReader(manifest)}


@pytest.fixture(scope="module")
def model(lite_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model whose answers weigh the classes' names: it has learned the first task of each modality from few items."""
    tasks = {task.modality: task for task in reversed(remodal.stream("everyday", order="sequential").tasks)}
    learned = remodal.Model("remodal", cache=lite_cache, width=200)
    for task in tasks.values():
        learned.learn(replace(task, train=task.train[::24], test=task.test[::24]))
    return learned.save(tmp_path_factory.mktemp("saved") / "model")


@pytest.mark.long  # the command line and a served model of two modalities are told of theirs quickly
def test_a_server_is_told_the_modality(
    model: Path, media: Mapping[str, Path], lite_cache: Path, tmp_path: Path
) -> None:
    loaded = remodal.load(model, cache=lite_cache)
    index = Index.create(str(tmp_path / "index"), str(model), loaded.backbone.fingerprint, loaded.backbone.width)
    (tmp_path / "store").mkdir()
    for modality, path in media.items():
        (tmp_path / "store" / f"{modality}{path.suffix}").write_bytes(path.read_bytes())
    keep_up(index, loaded, tmp_path / "store")
    with served(model, lite_cache, "--index", index.uri) as server:
        for modality in MODALITIES:
            asked = {"files": (media[modality].name, media[modality].read_bytes())}
            answer = server.post("/predict", files=asked, data={"modality": modality, "top": 3})
            assert answer.status_code == 200, answer.text
            (said,) = answer.json()
            assert [one["modality"] for one in said["best"]] == [modality] * 3
            found = server.post("/search", files={"file": asked["files"]}, data={"modality": modality, "top": 3})
            assert found.status_code == 200, found.text
            assert {hit["modality"] for hit in found.json()} <= {modality}


def test_the_command_line_is_told_the_modality(model: Path, media: Mapping[str, Path], lite_cache: Path) -> None:
    asked = [sys.executable, "-m", "remodal", "predict", model, media["depth"], "--modality", "depth", "--csv"]
    done = subprocess.run(
        asked, env={**os.environ, "REMODAL_CACHE": str(lite_cache)}, capture_output=True, text=True, check=False
    )
    assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stderr
    assert {row["modality"] for row in csv.DictReader(done.stdout.splitlines())} == {"depth"}
