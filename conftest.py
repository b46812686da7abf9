"""What all tests share: one thread, one cache into which the frozen networks are exported once, one backbone."""

from __future__ import annotations

import os
import shutil
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from filelock import FileLock
from PIL import Image

import remodal
from remodal.backbones import Registered, backbones
from remodal.backbones.lite.lite import Lite
from remodal.backbones.settings import LiteSettings
from remodal.features.extract import stem
from remodal.search import Index, keep_up

# the tests' tensors are small: a second thread would wait for the first far longer than it works
torch.set_num_threads(1)
# what is frozen is read once for each cache: that takes longer than most tests do with it
backbones._entries["lite"] = Registered(LiteSettings, lru_cache(maxsize=2)(backbones.get("lite").load))


@pytest.fixture(scope="session")
def graphs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The exported graphs of ``lite``, made once for all workers of a session; not to be changed."""
    root = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        root = root.parent
    with FileLock(root / "graphs.lock"):
        towers = Lite(root / "graphs").towers
        text, vision = towers["text"].encoder, towers["vision"].encoder
        stem([("text", text.prepare("text", "a sentence"))], text)
        stem([("image", vision.prepare("image", np.zeros((8, 8, 3), np.uint8)))], vision)
    return root / "graphs"


@pytest.fixture(scope="session")
def lite_cache(graphs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """This session's cache folder, with the graphs; tokens of what tests learn come to be stored in it."""
    return Path(shutil.copytree(graphs, tmp_path_factory.mktemp("cache") / "remodal"))


@pytest.fixture(scope="session")
def lite(lite_cache: Path) -> Lite:
    """The embedded backbone on a CPU."""
    return Lite(lite_cache)


@pytest.fixture
def graphs_only(graphs: Path, tmp_path: Path) -> Path:
    """A cache of one's own, without any stored token."""
    return Path(shutil.copytree(graphs, tmp_path / "cache"))


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Red and blue pictures, high and low tones, sentences on tea and ships."""
    root = tmp_path_factory.mktemp("data")
    kinds = (("warm", 0, 220, "a cup of hot tea"), ("cold", 2, 1760, "a ship on the sea"))
    for label, channel, pitch, text in kinds:
        for modality in ("image", "audio", "text"):
            (root / modality / label).mkdir(parents=True)
        for number in range(8):
            pixels = np.full((32, 32, 3), 7 * number, np.uint8)
            pixels[..., channel] += 180
            Image.fromarray(pixels).save(root / "image" / label / f"{number}.png")
            tone = np.sin(2 * np.pi * pitch * (1 + number / 80) * np.arange(16_000) / 16_000)
            soundfile.write(root / "audio" / label / f"{number}.wav", tone, 16_000)
            (root / "text" / label / f"{number}.txt").write_text(f"{text}, {number}")
    return root


@pytest.fixture(scope="session")
def walk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a sound of 90 s, low but from second 40 to 50, where it is high; and a low one of a second."""
    root, at = tmp_path_factory.mktemp("walk") / "sounds", np.arange(90 * 16_000) / 16_000
    root.mkdir()
    pitch = np.where((at >= 40) & (at < 50), 1800.0, 230.0)
    soundfile.write(root / "walk.flac", 0.9 * np.sin(2 * np.pi * pitch * at), 16_000)
    soundfile.write(root / "short.wav", np.sin(2 * np.pi * 230 * at[:16_000]), 16_000)
    return root


@pytest.fixture
def named_index(saved: Path, lite_cache: Path, tmp_path: Path) -> str:
    """An index of the model ``saved``: six files of each of ten classes, where its names lie, or about there."""
    import remodal
    from remodal.search import Index, Stored

    model = remodal.load(saved, cache=lite_cache)
    names = ("dog", "violin", "car", "apple", "house", "river", "shoe", "airplane", "book", "candle")
    places = {name: model.embed_words(name) for name in names}
    index = Index.create(str(tmp_path / "named.index"), str(saved), model.backbone.fingerprint, len(places["dog"]))
    draws, files = np.random.default_rng(0), []
    for name, place in places.items():
        for number in range(6):
            near = place + 0.02 * draws.standard_normal(len(place)).astype(np.float32)
            lineage = model.lineage["image"]
            files.append(
                Stored(
                    f"/photos/{name}/{number}.jpg",
                    "/photos",
                    f"{name} {number}",
                    "image",
                    name,
                    0.9,
                    lineage,
                    near / np.linalg.norm(near),
                )
            )
    index.put(files)
    return index.uri


def depth_maps(root: Path, in_a_metre: float, kind: type[np.generic], suffix: str) -> Path:
    """Surfaces at one metre and at four, eight maps of each."""
    for label, metres in (("near", 1.0), ("far", 4.0)):
        (root / "depth" / label).mkdir(parents=True)
        for number in range(8):
            surface = metres * in_a_metre * (1 + number / 100 + np.linspace(0, 0.2, 32)[None].repeat(32, 0))
            Image.fromarray(surface.astype(kind)).save(root / "depth" / label / f"{number}{suffix}")
    return root


@pytest.fixture(scope="session")
def metres(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Float TIFF in metres: it means nothing without a unit."""
    return depth_maps(tmp_path_factory.mktemp("metres"), 1, np.float32, ".tiff")


@pytest.fixture(scope="session")
def centimetres(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """16-bit PNG in centimetres: without a unit it would be taken for millimetres."""
    return depth_maps(tmp_path_factory.mktemp("centimetres"), 100, np.uint16, ".png")


@pytest.fixture(scope="session")
def saved_once(folder: Path, lite_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a model that has learned ``folder``; not to be changed."""
    model = remodal.Model(method="nearest-mean", cache=lite_cache)
    for task in remodal.stream(folder):
        model.learn(task, origin="red, blue, high, low")
    return model.save(tmp_path_factory.mktemp("saved") / "model")


@pytest.fixture
def saved(saved_once: Path, tmp_path: Path) -> Path:
    """A copy of one's own of that model's folder."""
    return Path(shutil.copytree(saved_once, tmp_path / "model"))


@pytest.fixture
def index(saved: Path, folder: Path, lite_cache: Path, tmp_path: Path) -> str:
    """Of all media that the saved model has learned from: where it is."""
    model = remodal.load(saved, cache=lite_cache)
    made = Index.create(str(tmp_path / "index"), str(saved), model.backbone.fingerprint, model.backbone.width)
    keep_up(made, model, folder)
    return made.uri
