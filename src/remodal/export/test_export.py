"""What is exported answers as the model does, and needs nothing of it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torch import Tensor

import remodal
from remodal.backbones import Tokens, Tower
from remodal.backbones.onnx_graph import session
from remodal.errors import RemodalError, UnknownName
from remodal.export import export
from remodal.media import Decoded, decoded, given
from remodal.methods.nearest_mean import NearestMean
from remodal.saved import is_model
from remodal.streams.base import Column
from remodal.testing.toy import ToyEncoder

FIELD = Path(__file__).parents[4] / "shared" / "data" / "field"


@pytest.fixture(scope="module")
def model(folder: Path, lite_cache: Path) -> remodal.Model:
    """``remodal`` on pictures, sounds and sentences."""
    found = remodal.Model(cache=lite_cache)
    for task in remodal.stream(folder):
        found.learn(task)
    return found


@pytest.fixture(scope="module")
def exported(model: remodal.Model, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export(model, tmp_path_factory.mktemp("exported")).folder


def asked(folder: Path, one: Decoded) -> dict[tuple[str, str], float]:
    """The probability of each class, by modality and name, of the exported files."""
    running = session(str(folder / f"{one.tower}.onnx"))
    inputs: dict[str, Any] = {}
    if one.tower == "text":
        inputs["word_pieces"] = one.prepared[0][one.prepared[0] >= 0]
    else:
        readers = json.loads(running.get_modelmeta().custom_metadata_map["remodal"])["modalities"]
        inputs = {"pictures": one.prepared, "read_as": np.array([readers.index(one.read_as)])}
    likely, classes, modalities = running.run(["probabilities", "classes", "modalities"], inputs)
    return dict(zip(zip(modalities, classes), likely.tolist(), strict=True))


def assert_answered_alike(model: remodal.Model, folder: Path, files: Sequence[Path]) -> None:
    """To 1e-4."""
    for file in files:
        one = decoded(given(file.name, file, None), model.backbone)
        (answer,) = model.answer_decoded([one], top=1000)
        wanted = {(best.modality, best.label): best.probability for best in answer.best}
        found = asked(folder, one)
        assert {key: found.get(key, 0.0) for key in wanted} == pytest.approx(wanted, rel=0, abs=1e-4)
        assert sum(found.values()) == pytest.approx(1, abs=1e-5)


def test_files_of_all_kinds_are_answered_as_the_model_answers_them(
    model: remodal.Model, exported: Path, folder: Path
) -> None:
    assert_answered_alike(model, exported, sorted(folder.glob("*/*/[03].*")))


@pytest.fixture(scope="module")
def recordings() -> list[Path]:
    """Photographs, clips of 8 frames, sounds of 4 pictures, depth maps and sequences."""
    if not FIELD.is_dir():
        pytest.skip("no recordings beside the checkout (../shared/data/field)")
    return [
        file for one in ("image", "video", "audio", "depth") for file in sorted((FIELD / one).rglob("*.*"))[7::40][:4]
    ]


def test_recordings_that_the_model_never_saw_are_answered_as_the_model_answers_them(
    model: remodal.Model, exported: Path, recordings: list[Path]
) -> None:
    assert_answered_alike(model, exported, recordings)


@pytest.mark.parametrize(
    ("method", "settings"),
    [
        ("comm", {"steps": 3}),
        ("ranpac", {}),
        ("coda-prompt", {"steps": 3}),
        ("nearest-mean", {"features": "published"}),
    ],
)
def test_other_methods_are_exported_too(
    method: str,
    settings: dict[str, Any],
    folder: Path,
    recordings: list[Path],
    lite_cache: Path,
    tmp_path: Path,
) -> None:
    model = remodal.Model(method, cache=lite_cache, **settings)
    for task in remodal.stream(folder):
        model.learn(task)
    done = export(model, tmp_path / "there")
    assert {tower.file.name: tower.items for tower in done.towers} == {"vision.onnx": 8, "text.onnx": 4}
    assert max(tower.off for tower in done.towers) < 1e-4
    assert_answered_alike(model, done.folder, recordings)


def test_only_towers_that_have_learned_are_written(saved: Path, folder: Path, lite_cache: Path, tmp_path: Path) -> None:
    model = remodal.Model("nearest-mean", cache=lite_cache)
    model.learn(next(task for task in remodal.stream(folder) if task.modality == "image"))
    done = export(model, tmp_path / "there")
    assert sorted(file.name for file in done.folder.iterdir()) == [
        "README.md",
        "answer.py",
        "index.html",
        "vision.onnx",
    ]


def test_the_example_answers_with_a_runtime_and_numpy_alone(model: remodal.Model, exported: Path, folder: Path) -> None:
    picture, sentence = folder / "image/warm/3.png", "a ship on the sea, 3"
    without = "import sys; sys.modules.update(torch=None, remodal=None); import runpy; sys.argv = sys.argv[1:]; "
    command = [sys.executable, "-c", without + "runpy.run_path(sys.argv[0], run_name='__main__')"]
    done = subprocess.run(
        [*command, exported / "answer.py", picture, sentence], capture_output=True, text=True, check=True
    )
    said = [line.split("\t") for line in done.stdout.splitlines()]
    for (best, *_), (_, label, modality, likely) in zip(
        model.predict([picture, remodal.Text(sentence)]), said, strict=True
    ):
        assert (best.label, best.modality) == (label, modality)
        assert float(likely) == pytest.approx(best.probability, abs=1e-4)
    assert len((exported / "answer.py").read_text().splitlines()) <= 60


def test_the_note_says_what_the_files_take_and_whose_weights_they_hold(exported: Path) -> None:
    note = (exported / "README.md").read_text()
    for told in (
        "uint8 [frames, 128, 128, 3]",
        "0 image, 1 video, 2 audio, 3 depth",
        "word_pieces",
        "Apache-2.0",
        "MIT",
    ):
        assert told in note


class Choosing(NearestMean):
    """Chooses its way by what it sees, in Python: a trace knows one way alone."""

    def scores(self, tokens: Tokens, columns: Sequence[Column]) -> Tensor:
        found = super().scores(tokens, columns)
        return found if float(tokens.frames.float().mean()) > 0.18 else found.flip(1)


def test_a_method_whose_answers_a_graph_gives_wrongly_is_refused(
    model: remodal.Model, folder: Path, lite_cache: Path, tmp_path: Path
) -> None:
    other = remodal.Model("nearest-mean", cache=lite_cache)
    for task in remodal.stream(folder):
        other.learn(task)
    other.method.__class__ = Choosing
    with pytest.raises(RemodalError, match="can't be written as ONNX: asked about . held-out items"):
        export(other, tmp_path / "there")
    assert not list(tmp_path.rglob("*.onnx"))


def test_a_backbone_that_cannot_be_written_is_refused(
    model: remodal.Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model.backbone, "towers", {**model.backbone.towers, "text": Tower(ToyEncoder("text"))})
    with pytest.raises(RemodalError, match="found a model on the backbone 'lite'"):
        export(model, tmp_path / "there")


def test_what_cannot_be_exported_is_told_in_one_line(
    model: remodal.Model, saved: Path, lite_cache: Path, tmp_path: Path
) -> None:
    with pytest.raises(UnknownName, match="unknown format 'onyx'; did you mean 'onnx'?"):
        export(model, tmp_path / "there", to="onyx")
    with pytest.raises(RemodalError, match="holds a model already; choose another folder"):
        export(model, saved)
    assert is_model(saved)
    with pytest.raises(RemodalError, match="the model has learned nothing yet"):
        export(remodal.Model(cache=lite_cache), tmp_path / "there")
