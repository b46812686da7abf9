"""Two levels of cache: frozen features for everyone, tokens for those that ask for more."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from PIL import Image
from small_models import save_clip

import remodal
from remodal.backbones import Backbone, load_backbone
from remodal.backbones.lite.lite import Lite
from remodal.errors import RemodalError
from remodal.features.extract import extract
from remodal.features.store import FeatureStore, StoreInfo
from remodal.features.test_extract import picture, sound
from remodal.learning.opening import needs_of
from remodal.learning.run import run
from remodal.learning.settings import RunSettings
from remodal.model import Model
from remodal.streams import stream as open_stream

ITEMS = [make(number) for number in range(3) for make in (picture, sound)]
QUICK = {"steps": 2, "realign_steps": 2}


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_clip(tmp_path_factory.mktemp("clip"), seed=0)


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache without any item."""
    return tmp_path_factory.mktemp("empty")


@pytest.fixture(scope="module")
def backbone(clip: Path, empty: Path) -> Backbone:
    return load_backbone(str(clip), empty)


@pytest.fixture
def cache(backbone: Backbone, empty: Path, tmp_path: Path) -> Path:
    """One of a test's own, in which the backbone finds what it computes of names."""
    return Path(shutil.copytree(empty, tmp_path / "cache"))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[FeatureStore]:
    with FeatureStore(tmp_path / "features") as opened:
        yield opened


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two classes of eight pictures."""
    root = tmp_path_factory.mktemp("data")
    for label, colour in (("red", (220, 20, 20)), ("blue", (20, 20, 220))):
        folder = root / "image" / label
        folder.mkdir(parents=True)
        for number in range(8):
            Image.new("RGB", (16 + number, 16), colour).save(folder / f"{number}.png")
    return root


def held(cache: Path) -> StoreInfo:
    with FeatureStore(cache / "features") as store:
        return store.info()


def test_features_alone_are_stored_where_no_one_needs_tokens(backbone: Backbone, store: FeatureStore) -> None:
    found = extract(ITEMS, backbone, store, needs_tokens=lambda _: False)
    assert (store.info().tokens.entries, store.info().features.entries) == (0, len(ITEMS))
    assert [found.lengths[f"sound {number}"] for number in range(3)] == [1, 2, 3]
    again = extract(ITEMS, backbone, store, needs_tokens=lambda _: False)
    assert (again.lengths, again.keys) == (found.lengths, found.keys)


def test_whoever_needs_tokens_later_gets_them_computed(backbone: Backbone, store: FeatureStore) -> None:
    """Beside features that are those of a pass that stored both."""
    ids, tower = [item.id for item in ITEMS], backbone.reads["image"]
    before = extract(ITEMS, backbone, store, needs_tokens=lambda _: False).tokens(store, tower, ids)
    features = before.features
    after = extract(ITEMS, backbone, store).tokens(store, tower, ids)
    assert (before.has_frames, after.has_frames) == (False, True)
    assert len(after.frames) == int(after.lengths.sum()) == int(before.lengths.sum())
    assert features is not None
    assert after.features is not None
    assert torch.equal(features, after.features)
    with FeatureStore(store.path.parent / "both") as both:
        stored = extract(ITEMS, backbone, both).tokens(both, tower, ids)
        assert torch.equal(stored.frames, after.frames)


def test_tokens_that_are_stored_are_not_had_by_who_needs_none(backbone: Backbone, store: FeatureStore) -> None:
    """So that what a method may ask for doesn't hang on what ran before it."""
    extract([picture(0)], backbone, store)
    tokens = extract([picture(0)], backbone, store, needs_tokens=lambda _: False).tokens(store, "vision", ["picture 0"])
    with pytest.raises(RemodalError, match=r"tokens of the tower 'vision' were asked for, .*Method\.needs_tokens"):
        _ = tokens.frames


def test_features_that_were_cleared_are_missed_in_one_line(backbone: Backbone, store: FeatureStore) -> None:
    found = extract([picture(0)], backbone, store, needs_tokens=lambda _: False)
    tokens = found.tokens(store, "vision", ["picture 0"])
    store.clear()
    with pytest.raises(RemodalError, match="was cleared while it was in use: 1 of 1 items are gone"):
        backbone.towers["vision"].features(tokens)


def test_an_encoder_that_keeps_no_features_stores_tokens_whoever_asks(lite: Lite, store: FeatureStore) -> None:
    tokens = extract([picture(0)], lite, store, needs_tokens=lambda _: False).tokens(store, "vision", ["picture 0"])
    assert (store.info().tokens.entries, store.info().features.entries) == (1, 0)
    assert tokens.has_frames


def test_a_run_stores_what_its_method_needs(clip: Path, data: Path, cache: Path, tmp_path: Path) -> None:
    """And what it answers doesn't hang on what is stored beside."""
    asked = RunSettings(stream=str(data), method="nearest-mean", backbone=str(clip))
    run(asked, tmp_path / "first", cache)
    assert (held(cache).tokens.entries, held(cache).features.entries) == (0, 16)
    run(asked.model_copy(update={"method": "comm", "options": QUICK}), tmp_path / "prompts", cache)
    assert (held(cache).tokens.entries, held(cache).features.entries) == (16, 16)
    run(asked, tmp_path / "second", cache)
    first, second = ((tmp_path / name / "predictions.parquet").read_bytes() for name in ("first", "second"))
    assert first == second


@pytest.mark.parametrize(
    ("method", "options", "needed"),
    [
        ("nearest-mean", {}, False),
        ("comm", {}, True),
        ("remodal", {}, True),
        ("remodal", {"adapt": False}, False),
        ("joint", {"adapt": False}, False),
    ],
)
def test_settings_say_too_what_is_needed(
    method: str, options: dict[str, object], needed: bool, backbone: Backbone
) -> None:
    asked = RunSettings(stream="everyday", method=method, options=options)
    vision = backbone.towers["vision"]
    assert needs_of(asked)(vision) is needed
    assert needs_of(asked, RunSettings(stream="everyday", method="zero-shot"))(vision) is needed


@pytest.mark.parametrize(("method", "settings"), [("nearest-mean", {}), ("joint", {"adapt": False, "width": 16})])
def test_a_model_is_saved_with_features_alone(
    method: str, settings: dict[str, object], clip: Path, data: Path, cache: Path, tmp_path: Path
) -> None:
    tasks = open_stream(str(data), classes_per_task=1).tasks
    pictures = sorted(data.rglob("*.png"))
    model = Model(method, str(clip), cache=cache, **settings).learn(tasks[0]).learn(tasks[1])
    answers = model.predict(pictures)
    saved = model.save(tmp_path / "model")
    assert held(cache).tokens.entries == 0
    shutil.rmtree(cache / "features")
    loaded = remodal.load(saved, cache=cache, trust_backbone=clip)
    assert loaded.predict(pictures) == answers
    assert loaded.about().accuracy == model.about().accuracy
    assert loaded.lineage == model.lineage
