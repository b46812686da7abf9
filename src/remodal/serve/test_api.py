"""The routes: what they take, what they answer, what they refuse."""

from __future__ import annotations

import shutil
import time
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

import remodal
from remodal.saved import changing
from remodal.search import Index, keep_up
from remodal.serve.admission import Admission
from remodal.serve.background import Background
from remodal.serve.batching import Batcher
from remodal.serve.conftest import Serve
from remodal.serve.decoding import Decoders
from remodal.serve.jobs import Jobs
from remodal.serve.watching import Watcher


def picture(green: int) -> bytes:
    """A PNG."""
    pixels = np.full((32, 32, 3), green, np.uint8)
    pixels[..., 1] += 180
    file = BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def finished(client: TestClient, job: str) -> dict[str, Any]:
    """A job when it is through."""
    for _ in range(600):
        found: dict[str, Any] = client.get(f"/jobs/{job}").json()
        if found["state"] in ("done", "failed"):
            return found
        time.sleep(0.1)
    raise AssertionError(found)


def staged(cache: Path) -> list[Path]:
    """What waits to be learned from."""
    return list((cache / "uploads").glob("*/*/taught*"))


def test_files_and_sentences_are_answered_as_the_model_answers_them(
    standing: TestClient, folder: Path, saved_once: Path, lite_cache: Path
) -> None:
    files = [folder / "image/warm/0.png", folder / "audio/cold/1.wav", folder / "text/cold/2.txt"]
    uploads = [("files", (file.name, file.read_bytes())) for file in files]
    found = standing.post("/predict", files=uploads, data={"texts": ["hot tea"], "top": 2}).json()
    expected = remodal.load(saved_once, cache=lite_cache).predict([*files, remodal.Text("hot tea")], top=2)
    for answer, best in zip(found, expected, strict=True):
        assert [(one["label"], one["modality"]) for one in answer["best"]] == [
            (one.label, one.modality) for one in best
        ]
        assert answer["best"][0]["probability"] == pytest.approx(best[0].probability, abs=1e-4)
        assert sum(answer["modalities"].values()) == pytest.approx(1.0, abs=1e-4)
        assert (answer["version"], answer["problem"]) == (1, None)


def test_a_file_that_cannot_be_read_does_not_stop_the_others(standing: TestClient, folder: Path) -> None:
    good = (folder / "image/warm/0.png").read_bytes()
    bad, empty, fine = standing.post(
        "/predict", files=[("files", ("a.png", good[:60])), ("files", ("b", b"")), ("files", ("c", good))]
    ).json()
    assert "can't be decoded" in bad["problem"]
    assert empty["problem"].startswith("found an empty file")
    assert fine["best"][0]["label"] == "warm"


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"texts": ["x"], "modality": "imagee"}, "did you mean 'image'?"),
        ({"texts": ["x"], "modality": "depth"}, "has learned no class of depth"),
        ({}, "found nothing to answer"),
    ],
)
def test_what_cannot_be_asked_is_one_line(standing: TestClient, data: dict[str, object], said: str) -> None:
    refused = standing.post("/predict", data=data)
    assert refused.status_code == 400
    assert said in refused.json()["detail"]


def test_too_many_files_or_bytes_are_refused(serve: Serve) -> None:
    client = serve(files=2, upload_bytes=10_000, decodes=False)
    assert client.post("/predict", files=[("files", (str(n), b"x")) for n in range(3)]).status_code == 413
    assert client.post("/predict", data={"texts": ["x"] * 3}).status_code == 413
    mixed = client.post("/predict", files=[("files", (str(n), b"x")) for n in range(2)], data={"texts": ["x"]})
    assert (mixed.status_code, "found 3 files and texts" in mixed.json()["detail"]) == (413, True)
    refused = client.post("/predict", files=[("files", ("big", b"x" * 20_000))])
    assert refused.status_code == 413
    assert "valid: at most 10,000" in refused.json()["detail"]


def test_files_beyond_the_pixels_of_a_request_are_told(serve: Serve) -> None:
    files = [("files", (str(n), picture(n))) for n in range(3)]
    answers = serve(pixels=2 * 32 * 32).post("/predict", files=files, data={"texts": ["hot tea"]}).json()
    problems = [one["problem"] for one in answers]
    assert problems == [None, None, "found 1,024 pixels; valid: at most 0 more in this request", None]


def test_who_comes_when_too_much_waits_is_told_to_come_again(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    client = serve(files=2, waiting=4, decodes=False)
    taken = Admission.__init__

    def full(admission: Admission, places: int, files: int) -> None:
        taken(admission, places, files)
        admission._taken = places

    assert client.post("/predict", data={"texts": ["hot tea", "a ship"]}).status_code == 200
    monkeypatch.setattr(Admission, "__init__", full)
    told = serve(files=2, waiting=4, decodes=False).post("/predict", data={"texts": ["hot tea"]})
    assert (told.status_code, told.headers["retry-after"]) == (503, "1")
    assert told.json()["detail"] == "4 media wait already; try again soon"


def test_stored_media_are_found_by_words_and_by_files(
    serve: Serve, index: str, saved: Path, folder: Path, lite_cache: Path
) -> None:
    client = serve(index=index)
    by_words = client.post("/search", data={"words": "cold", "modality": ["image", "audio"], "top": 5}).json()
    assert {hit["label"] for hit in by_words} == {"cold"}
    assert {hit["modality"] for hit in by_words} <= {"image", "audio"}
    sound = (folder / "audio/warm/3.wav").read_bytes()
    (hit,) = client.post("/search", files={"file": ("w", sound)}, data={"modality": "image", "top": 1}).json()
    (answer,) = remodal.load(saved, cache=lite_cache).answers([sound])
    assert answer.place is not None
    (found,) = Index.open(index).search(answer.place.tolist(), ["image"], top=1)
    assert (hit["modality"], hit["id"]) == ("image", found.id)
    fetched = client.get(f"/media/{hit['id']}")
    assert fetched.content == Path(hit["path"]).read_bytes()
    assert fetched.headers["x-content-type-options"] == "nosniff"


def test_a_search_says_at_which_moment(serve: Serve, saved: Path, walk: Path, lite_cache: Path, tmp_path: Path) -> None:
    model = remodal.load(saved, cache=lite_cache)
    index = Index.create(str(tmp_path / "walk"), str(saved), model.backbone.fingerprint, model.backbone.width)
    keep_up(index, model, walk)
    client = serve(index=index.uri, decodes=False)
    assert client.get("/index").json() == {"files": 2, "stale": {}}
    first, short = client.post("/search", data={"words": "cold"}).json()
    assert 40 <= first["start"] < first["end"] <= 50
    assert (Path(short["path"]).name, short["start"], short["end"]) == ("short.wav", None, None)
    assert client.get(f"/media/{first['id']}").content == (walk / "walk.flac").read_bytes()
    assert len(client.post("/search", data={"words": "cold", "windows": "true", "top": "20"}).json()) == 20


def test_what_is_no_nearer_than_chance_is_not_sure(serve: Serve, named_index: str) -> None:
    client = serve(index=named_index, decodes=False)
    found = client.post("/search", data={"words": "a photo of a violin", "top": 60}).json()
    assert {hit["label"] for hit in found if hit["sure"]} == {"violin"}
    asked = {"words": "quarterly tax return", "top": 5}
    assert [hit["sure"] for hit in client.post("/search", data=asked).json()] == [False] * 5
    assert client.post("/search", data={**asked, "only_sure": True}).json() == []


def test_only_stored_files_can_be_fetched(serve: Serve, index: str) -> None:
    client = serve(index=index, decodes=False)
    for identity in ("0" * 64, "..%2f..%2fetc%2fpasswd", "' OR 1=1", "x"):
        assert client.get(f"/media/{identity}").status_code == 404, identity


def test_what_was_put_in_a_stored_files_place_is_not_given_out(
    serve: Serve, saved: Path, lite_cache: Path, folder: Path, tmp_path: Path
) -> None:
    store, secret, model = tmp_path / "store", tmp_path / "secret.txt", remodal.load(saved, cache=lite_cache)
    shutil.copytree(folder / "text/warm", store)
    secret.write_text("words of the server's user")
    kept = Index.create(str(tmp_path / "index"), str(saved), model.backbone.fingerprint, model.backbone.width)
    keep_up(kept, model, store)
    client = serve(index=kept.uri, decodes=False)
    (hit,) = client.post("/search", data={"words": "tea", "top": 1}).json()
    assert client.get(f"/media/{hit['id']}").status_code == 200
    Path(hit["path"]).unlink()
    Path(hit["path"]).symlink_to(secret)
    assert client.get(f"/media/{hit['id']}").status_code == 404


def test_without_an_index_search_says_so(standing: TestClient) -> None:
    assert "start it with --index" in standing.post("/search", data={"words": "x"}).json()["detail"]


def test_a_class_is_taught_while_the_old_version_answers(
    serve: Serve, index: str, saved: Path, lite_cache: Path
) -> None:
    client = serve(index=index)
    files = [("files", (f"../../{n}.exe", picture(7 * n))) for n in range(4)]
    taught = client.post("/update", data={"label": "fresh grass"}, files=files)
    assert taught.status_code == 202
    asked = {"files": ("x.png", picture(3))}
    (before,) = client.post("/predict", files=asked).json()
    assert before["version"] == 1
    assert before["best"][0]["label"] != "fresh grass"
    job = finished(client, taught.json()["id"])
    assert (job["state"], job["problem"]) == ("done", None)
    assert job["result"]["new"] == [["image", "fresh grass"]]
    assert job["result"]["after"]["image"]["agnostic"] == 1.0
    (after,) = client.post("/predict", files=asked).json()
    assert (after["version"], after["best"][0]["label"]) == (2, "fresh grass")
    assert staged(lite_cache) == []
    assert "taught on the server" in (saved / "README.md").read_text()


def test_what_arrives_over_http_is_learned_once_and_logged(client: TestClient) -> None:
    def arrived(*numbers: int, name: str = "grass") -> dict[str, Any]:
        files = [("files", (f"{number}.png", picture(7 * number))) for number in numbers]
        return finished(client, client.post("/arrivals", data={"label": name}, files=files).json()["id"])

    assert client.get("/arrivals").json() == []
    first = arrived(0)["result"]
    assert (first["version"], first["new"], len(first["learned"])) == (2, [["image", "grass"]], 1)
    second = arrived(1, 2, 3)["result"]
    assert (len(second["learned"]), len(second["held_out"])) == (2, 1)
    again = arrived(0, name="another name")
    assert (again["state"], again["result"]["version"]) == ("done", None)
    assert "its content came before" in again["result"]["set_aside"][0]["reason"]
    listed = client.get("/arrivals").json()
    assert [(one["version"], one["learned"], one["held_out"]) for one in listed] == [(2, 1, 0), (3, 2, 1)]
    assert [one["version"] for one in client.get("/arrivals", params={"last": 1}).json()] == [3]
    assert client.get("/arrivals", params={"last": 0}).status_code == 400


def test_a_version_can_be_gone_back_to(client: TestClient) -> None:
    files = [("files", (str(n), picture(n))) for n in range(3)]
    finished(client, client.post("/update", data={"label": "grass"}, files=files).json()["id"])
    listed = [(one["version"], one["current"], one["answers"]) for one in client.get("/versions").json()]
    assert listed == [(1, False, False), (2, True, True)]
    assert client.post("/rollback", json={}).json() == {"version": 1}
    assert client.get("/ready").json() == {"version": 1}
    refused = client.post("/rollback", json={"version": 9})
    assert (refused.status_code, "valid: 1, 2" in refused.json()["detail"]) == (400, True)


def test_the_index_follows_the_model_forth_and_back(serve: Serve, index: str, saved: Path, lite_cache: Path) -> None:
    client, lesson = serve(index=index), [("files", (str(n), picture(n))) for n in range(3)]
    job = client.post("/update", data={"label": "grass"}, files=lesson).json()["id"]
    assert finished(client, job)["state"] == "done"
    assert Index.open(index).stale(remodal.load(saved, cache=lite_cache).lineage) == {}
    assert client.get("/index").json() == {"files": 48, "stale": {}}
    assert client.post("/rollback", json={}).status_code == 200
    lineage = remodal.load(saved, cache=lite_cache).lineage
    assert Index.open(index).stale(lineage) != {}
    for _ in range(300):
        if not Index.open(index).stale(lineage):
            break
        time.sleep(0.1)
    else:
        raise AssertionError("the index is still of the version that was left")


def test_a_version_is_not_gone_back_to_while_another_process_learns(serve: Serve, saved: Path) -> None:
    client = serve(decodes=False)
    with changing(saved):
        refused = client.post("/rollback", json={})
    assert (refused.status_code, refused.headers["retry-after"]) == (409, "1")
    assert "another process is changing this model" in refused.json()["detail"]


def test_a_lesson_that_cannot_be_read_is_refused_at_once(standing: TestClient) -> None:
    refused = standing.post("/update", data={"label": "grass"}, files=[("files", ("bad.png", picture(1)[:60]))])
    assert refused.status_code == 400
    assert "bad.png: " in refused.json()["detail"]
    assert (
        "valid: the name of a class"
        in standing.post("/update", data={"label": " "}, files={"files": b"x"}).json()["detail"]
    )


def test_an_unknown_job_is_not_found(standing: TestClient) -> None:
    assert standing.get("/jobs/none").status_code == 404


def test_health_readiness_and_figures(serve: Serve) -> None:
    client = serve(decodes=False)
    assert client.get("/health").json()["status"] == "ok"
    assert client.get("/ready").json() == {"version": 1}
    client.post("/predict", data={"texts": ["hot tea"]})
    written = client.get("/metrics").text
    assert 'remodal_requests_total{route="/predict",status="200"} 1.0' in written
    assert 'remodal_media_answered_total{modality="text"} 1.0' in written
    assert "remodal_model_version 1.0" in written


@pytest.mark.parametrize("part", [Batcher, Decoders, Jobs, Watcher])
def test_a_part_that_ended_is_told_of(serve: Serve, monkeypatch: pytest.MonkeyPatch, part: type[Background]) -> None:
    async def ends(_: Background) -> None:
        raise ValueError("one\nthing")

    monkeypatch.setattr(part, "_run", ends)
    client = serve(decodes=False)
    for _ in range(100):
        health = client.get("/health")
        if health.status_code == 503:
            break
        time.sleep(0.02)
    assert (health.status_code, "ended (one thing)" in health.json()["detail"]) == (503, True)


def test_what_changes_the_models_folder_from_outside_is_followed(serve: Serve, saved: Path, lite_cache: Path) -> None:
    client = serve(decodes=False)
    remodal.load(saved, cache=lite_cache).save(saved)
    for _ in range(200):
        if (version := client.get("/ready").json()["version"]) == 2:
            break
        time.sleep(0.05)
    assert version == 2
    assert client.post("/predict", data={"texts": ["hot tea"]}).json()[0]["version"] == 2


def test_the_routes_are_documented(standing: TestClient) -> None:
    paths = standing.get("/openapi.json").json()["paths"]
    assert set(paths) >= {"/predict", "/search", "/update", "/jobs/{identity}", "/versions", "/rollback", "/health"}
    assert all(route.get("description") for path in paths.values() for route in path.values())


def test_a_part_without_a_file_name_is_refused_in_one_line(standing: TestClient) -> None:
    part = b'--b\r\ncontent-disposition: form-data; name="files"\r\n\r\n' + b"x" * 9_000 + b"\r\n--b--\r\n"
    for path in ("/predict", "/search", "/update"):
        refused = standing.post(path, content=part, headers={"content-type": "multipart/form-data; boundary=b"})
        assert (refused.status_code, len(refused.text) < 300) == (400, True)
    predicted = standing.post("/predict", content=part, headers={"content-type": "multipart/form-data; boundary=b"})
    assert "x; valid: a file with a name (filename=... in its part)" in predicted.json()["detail"]


def test_a_class_and_a_file_are_forgotten_and_a_file_gets_its_right_name(
    serve: Serve, index: str, saved: Path, lite_cache: Path, folder: Path
) -> None:
    client = serve(index=index, versions=5)
    before = {(one["modality"], one["label"]): (one["items"], one["held_out"]) for one in client.get("/classes").json()}
    assert set(before) == {(modality, label) for modality in ("image", "audio", "text") for label in ("warm", "cold")}
    items = sum(one[0] for one in before.values())
    wrong = [("files", (f"../{file.name}", file.read_bytes())) for file in sorted((folder / "text/cold").iterdir())]
    asked = client.post("/relabel", data={"label": "ships"}, files=wrong)
    assert (asked.status_code, asked.json()["kind"], asked.json()["files"]) == (202, "relabel", 8)
    job = finished(client, asked.json()["id"])
    assert (job["state"], job["problem"]) == ("done", None)
    learned, held_out = before["text", "cold"]
    assert (job["result"]["items"], job["result"]["held_out"]) == (learned, held_out)
    assert (job["result"]["new"], job["result"]["gone"]) == ([["text", "ships"]], [["text", "cold"]])
    (said,) = client.post("/predict", data={"texts": ["a ship on the sea"]}).json()
    assert (said["version"], said["best"][0]["label"]) == (2, "ships")

    one = ("files", ("letter.txt", (folder / "text/warm/0.txt").read_bytes()))
    job = finished(client, client.post("/forget", data={"classes": ["audio:cold"]}, files=[one]).json()["id"])
    assert (job["state"], job["problem"], job["label"]) == ("done", None, "audio:cold")
    assert job["result"]["gone"] == [["audio", "cold"]]
    after = {(one["modality"], one["label"]): (one["items"], one["held_out"]) for one in client.get("/classes").json()}
    assert ("audio", "cold") not in after
    assert sum(one[0] for one in after.values()) + job["result"]["items"] == items
    assert remodal.load(saved, cache=lite_cache).saved_as == (saved.resolve(), 3)
    assert Index.open(index).stale(remodal.load(saved, cache=lite_cache).lineage) == {}
    assert [(one["version"], one["note"].partition(" ")[0]) for one in client.get("/versions").json()] == [
        (1, ""), (2, "relabelled"), (3, "forgot")
    ]  # fmt: skip
    assert staged(lite_cache) == []
    assert client.post("/rollback", json={"version": 1}).json() == {"version": 1}
    assert len(client.get("/classes").json()) == len(before)


def test_what_cannot_be_corrected_is_one_line(client: TestClient, folder: Path) -> None:
    stranger = {"files": ("stranger.png", picture(9))}
    for route, asked, said in (
        ("/forget", {"data": {"classes": ["audio:colt"]}}, "did you mean 'audio:cold'?"),
        ("/forget", {"data": {}}, "found nothing to forget; valid: classes, files"),
        ("/forget", {"data": {"classes": ["audio:cold"] * 101}}, "found 101 classes to forget; valid: at most 100"),
        ("/forget", {"files": {"files": ("bad.png", picture(1)[:60])}}, "bad.png: "),
        ("/relabel", {"data": {"label": " "}, "files": stranger}, "found a blank label"),
        ("/relabel", {"data": {"label": "x"}}, "body.files: found nothing"),
    ):
        refused = client.post(route, **asked)
        assert (refused.status_code, said in refused.json()["detail"]) == (400, True), refused.text
    for route, data in (("/relabel", {"label": "grass"}), ("/forget", {})):
        job = finished(client, client.post(route, data=data, files=stranger).json()["id"])
        assert job["state"] == "failed"
        assert job["problem"] == "stranger.png: the model has learned nothing that holds the same; version 1 answers"
