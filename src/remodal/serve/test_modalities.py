"""A server of some modalities: what it answers in, what it refuses, what its page and its documentation say."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from remodal.errors import RemodalError
from remodal.model import Model
from remodal.serve.access import Access
from remodal.serve.app import application
from remodal.serve.conftest import Serve
from remodal.serve.service import Service
from remodal.serve.settings import ServeSettings


@contextmanager
def serving(model: Path, cache: Path, *modalities: str) -> Iterator[TestClient]:
    """A server of these alone."""
    service = Service(str(model), cache, None, ServeSettings.checked({"decoders": 1}), modalities=modalities)
    with TestClient(application(service, Access("127.0.0.1", None, 10**6)), base_url="http://127.0.0.1:8000") as client:
        yield client


@pytest.fixture(scope="module")
def of_two(saved_once: Path, lite_cache: Path) -> Iterator[TestClient]:
    """Of pictures and sounds."""
    with serving(saved_once, lite_cache, "image", "audio") as client:
        yield client


def test_it_answers_in_what_it_serves(of_two: TestClient, folder: Path) -> None:
    files = [("files", (folder / path).read_bytes()) for path in ("image/warm/0.png", "audio/cold/1.wav")]
    picture, sound = of_two.post("/predict", files=files).json()
    assert (picture["best"][0]["label"], sound["best"][0]["label"]) == ("warm", "cold")
    assert {*picture["modalities"]} == {*sound["modalities"]} == {"image", "audio"}
    assert {one["modality"] for one in (*picture["best"], *sound["best"])} == {"image", "audio"}


@pytest.mark.parametrize(
    ("route", "sent"),
    [
        ("/predict", {"data": {"texts": ["hot tea"]}}),
        ("/predict", {"data": {"modality": "text"}, "files": {"files": b"hot tea"}}),
        ("/update", {"data": {"label": "tea"}, "files": {"files": b"hot tea"}}),
        ("/update", {"data": {"label": "tea", "modality": "text"}, "files": {"files": b"hot tea"}}),
        ("/arrivals", {"data": {"label": "tea"}, "files": {"files": b"hot tea"}}),
    ],
)
def test_what_it_does_not_serve_is_refused_in_one_line(of_two: TestClient, route: str, sent: dict[str, object]) -> None:
    answer = of_two.post(route, **sent)  # type: ignore[arg-type]
    assert answer.status_code == 415
    assert answer.json()["detail"].endswith("found text; valid on this server: image, audio")


def test_a_file_that_has_to_be_decoded_is_refused_too(saved_once: Path, lite_cache: Path, folder: Path) -> None:
    with serving(saved_once, lite_cache, "text") as client:
        assert client.post("/predict", data={"texts": ["hot tea"]}).json()[0]["best"][0]["label"] == "warm"
        answer = client.post("/predict", files={"files": ("a.png", (folder / "image/warm/0.png").read_bytes())})
    assert (answer.status_code, answer.json()) == (
        415, {"detail": "a.png: found image; valid on this server: text"}
    )  # fmt: skip


def test_the_page_and_the_documentation_say_what_is_served(of_two: TestClient) -> None:
    page = of_two.get("/").text
    assert "drop a picture or a recording." in page
    assert "a clip" not in page
    assert of_two.get("/openapi.json").json()["info"]["description"] == "One model answers in image, audio."


def test_search_finds_what_is_served_alone(serve: Serve, index: str) -> None:
    client = serve(index, modalities=["image", "audio"], decodes=False)
    hits = client.post("/search", data={"words": "warm", "top": 100}).json()
    assert {hit["modality"] for hit in hits} == {"image", "audio"}
    assert client.post("/search", data={"words": "warm", "modality": "text"}).status_code == 415


def test_a_model_of_some_modalities_answers_and_does_not_learn(saved: Path, lite_cache: Path, folder: Path) -> None:
    model = Model.load(saved, cache=lite_cache, modalities=["image"])
    (best,) = model.predict([folder / "image/cold/0.png"], top=9)
    assert [one.label for one in best] == ["cold", "warm"]
    with pytest.raises(RemodalError, match=r"has learned no class of audio; it knows: image"):
        model.predict([folder / "audio/cold/0.wav"], modality="audio")
    with pytest.raises(RemodalError, match="was loaded to answer in image alone; load all of it to teach or save it"):
        model.save(saved)
