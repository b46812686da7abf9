"""A model remembers what its depth files are measured in, and every way to ask it can be told otherwise."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

import remodal
from remodal.errors import RemodalError
from remodal.search import Index, keep_up, refresh
from remodal.serve.access import Access
from remodal.serve.app import application
from remodal.serve.service import Service
from remodal.serve.settings import ServeSettings
from remodal.updating import update

UNSTATED = "found float depth without a unit; valid units: mm, cm, m"


@pytest.fixture(scope="module")
def learned(metres: Path, lite_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of depth in metres; not to be changed."""
    model = remodal.Model("nearest-mean", cache=lite_cache)
    for task in remodal.stream(metres, depth_unit="m"):
        model.learn(task)
    return model.save(tmp_path_factory.mktemp("learned") / "model")


@pytest.fixture
def model(learned: Path, lite_cache: Path) -> remodal.Model:
    """It, loaded."""
    return remodal.load(learned, cache=lite_cache)


def best(model: remodal.Model, files: list[Path], unit: str | None = None) -> list[str]:
    return [answer[0].label for answer in model.predict(files, depth_unit=unit)]


def test_files_are_read_as_those_it_learned_from(model: remodal.Model, metres: Path, centimetres: Path) -> None:
    assert best(model, [metres / "depth/near/0.tiff", metres / "depth/far/1.tiff"]) == ["near", "far"]
    near, far = centimetres / "depth/near/0.png", centimetres / "depth/far/1.png"
    assert best(model, [near, far], "cm") == ["near", "far"]
    (stated,), (in_metres,) = model.answers([near], depth_unit="cm"), model.answers([metres / "depth/near/0.tiff"])
    assert stated.best[0].probability == pytest.approx(in_metres.best[0].probability, abs=0.01)
    with pytest.raises(RemodalError, match=r"unknown unit .inch.; .*valid: cm, m, mm"):
        best(model, [near], "inch")


def test_the_first_depth_decides(
    learned: Path, metres: Path, centimetres: Path, folder: Path, lite_cache: Path, tmp_path: Path
) -> None:
    own = Path(shutil.copytree(learned, tmp_path / "model"))
    assert update(own, metres, cache=lite_cache).set_aside == ()
    assert update(own, centimetres, cache=lite_cache, depth_unit="cm").set_aside == ()
    assert remodal.load(own, cache=lite_cache).unit() == "m"
    without = remodal.Model("nearest-mean", cache=lite_cache)
    for task in remodal.stream(folder):
        without.learn(task)
    assert without.unit() is None
    with pytest.raises(RemodalError, match=UNSTATED):
        without.predict([metres / "depth/near/0.tiff"])


def test_a_model_of_before_reads_as_it_did(learned: Path, metres: Path, lite_cache: Path, tmp_path: Path) -> None:
    own = Path(shutil.copytree(learned, tmp_path / "model"))
    config = json.loads((own / "config.json").read_text())
    del config["about"]["depth_unit"]
    (own / "config.json").write_text(json.dumps(config))
    with pytest.raises(RemodalError, match=UNSTATED):
        remodal.load(own, cache=lite_cache).predict([metres / "depth/near/0.tiff"])


def test_a_model_of_sun_rgbd_is_kept_with_its_unit(metres: Path, lite_cache: Path, tmp_path: Path) -> None:
    turned = tmp_path / "data"
    for path in sorted(metres.glob("depth/*/*.tiff")):
        millimetres = (np.asarray(Image.open(path)) * 1000).astype(np.uint16)
        (turned / path.relative_to(metres).parent).mkdir(parents=True, exist_ok=True)
        stored = (millimetres << 3) | (millimetres >> 13)
        Image.fromarray(stored).save((turned / path.relative_to(metres)).with_suffix(".png"))
    model = remodal.Model("nearest-mean", cache=lite_cache)
    for task in remodal.stream(turned, depth_unit="sunrgbd"):
        model.learn(task)
    loaded = remodal.load(model.save(tmp_path / "model"), cache=lite_cache)
    assert loaded.unit() == "sunrgbd"
    assert best(loaded, [turned / "depth/near/0.png", turned / "depth/far/1.png"]) == ["near", "far"]
    # the same scenes in metres say the same
    assert best(loaded, [metres / "depth/near/0.tiff", metres / "depth/far/1.tiff"], "m") == ["near", "far"]


def test_an_index_remembers_what_was_stated(
    model: remodal.Model, metres: Path, centimetres: Path, tmp_path: Path
) -> None:
    index = Index.create(str(tmp_path / "index"), "model", model.backbone.fingerprint, model.backbone.width)
    assert keep_up(index, model, metres)[:4] == (16, 0, 0, ())
    assert keep_up(index, model, centimetres, depth_unit="cm")[:4] == (16, 0, 0, ())
    places = {one.path: one.vector for one in index.stored()}
    assert {one.unit for one in index.stored()} == {"", "cm"}
    index.put([one.__class__(**{**vars(one), "lineage": "of an earlier version"}) for one in index.stored()])
    assert refresh(index, model)[:4] == (32, 0, 0, ())
    assert all(np.allclose(one.vector, places[one.path]) for one in index.stored())
    assert keep_up(index, model, centimetres, depth_unit="mm").embedded == 16


def test_a_server_reads_depth_as_the_model_does_or_as_it_is_told(
    learned: Path, metres: Path, centimetres: Path, lite_cache: Path, tmp_path: Path
) -> None:
    own = Path(shutil.copytree(learned, tmp_path / "model"))
    service = Service(str(own), lite_cache, None, ServeSettings.checked({"decoders": 1}))
    app = application(service, Access("127.0.0.1", None, 10**6))
    file = {"files": (metres / "depth/far/0.tiff").read_bytes()}
    other = {"files": (centimetres / "depth/far/0.png").read_bytes()}
    with TestClient(app, base_url="http://127.0.0.1:8000") as client:

        def label(files: dict[str, bytes], **asked: str) -> str:
            (answer,) = client.post("/predict", files=files, data=asked).json()
            assert answer["problem"] is None
            return str(answer["best"][0]["label"])

        assert (label(file), label(other, depth_unit="cm")) == ("far", "far")
        refused = client.post("/predict", files=other, data={"depth_unit": "inch"})
        assert refused.status_code == 400
        assert refused.json()["detail"].startswith("body.depth_unit: found 'inch'; ")
        job = client.post("/update", files=other, data={"label": "taught", "depth_unit": "cm"}).json()["id"]
        while client.get(f"/jobs/{job}").json()["state"] in ("waiting", "running"):
            time.sleep(0.05)
        assert client.get(f"/jobs/{job}").json()["problem"] is None
        assert label(other, depth_unit="cm") == "taught"
