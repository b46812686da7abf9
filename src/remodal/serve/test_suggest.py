"""Over HTTP: which files to label first, and labels of several classes taught as one update."""

from __future__ import annotations

import time
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image
from starlette.testclient import TestClient


def picture(colour: tuple[int, int, int]) -> bytes:
    """An encoded picture of one colour."""
    file = BytesIO()
    Image.new("RGB", (32, 32), colour).save(file, "PNG")
    return file.getvalue()


def green(count: int) -> list[tuple[str, tuple[str, bytes]]]:
    """Files of a colour that wasn't learned."""
    return [("files", (f"green{number}.png", picture((9 * number, 200, 9 * number)))) for number in range(count)]


def test_what_is_known_is_left_out_and_what_is_broken_told_of(standing: TestClient, folder: Path) -> None:
    learned = ("files", ("red.png", (folder / "image/warm/0.png").read_bytes()))
    broken = ("files", ("cut.png", picture((0, 0, 9))[:60]))
    sentence = ("files", ("words.txt", b"a green meadow in spring"))
    answer = standing.post("/suggest", files=[learned, broken, *green(3), green(1)[0], sentence], data={"n": 9}).json()
    assert {one["medium"] for one in answer["chosen"]} == {"green0.png", "green1.png", "green2.png", "words.txt"}
    assert {one["medium"]: one["place"] for one in answer["chosen"]}["green0.png"] == 2
    assert (answer["learned"], answer["copies"]) == (1, 1)
    assert [one["medium"] for one in answer["problems"]] == ["cut.png"]
    first = answer["chosen"][0]
    assert abs(first["doubt"] + first["guesses"][0]["probability"] - 1) < 1e-9
    assert len(standing.post("/suggest", files=green(5), data={"n": 2}).json()["chosen"]) == 2


def test_what_cannot_be_asked_is_refused_in_one_line(standing: TestClient) -> None:
    for data, said in (({"n": 0}, "body.n: found '0'"), ({"modality": "imagee"}, "did you mean 'image'?")):
        refused = standing.post("/suggest", files=green(1), data=data)
        assert refused.status_code == 400
        assert said in refused.json()["detail"]
    assert standing.post("/suggest", files=green(65)).status_code == 413


def test_labels_of_several_classes_are_one_update(client: TestClient) -> None:
    files = [*green(2), ("files", ("words.txt", b"a green meadow in spring"))]
    labels = {"label": ["grass", "leaf", "meadow"]}
    job: dict[str, Any] = client.post("/update", files=files, data=labels).json()
    while job["state"] in ("waiting", "running"):
        time.sleep(0.05)
        job = client.get(f"/jobs/{job['id']}").json()
    assert (job["state"], job["problem"], job["result"]["version"]) == ("done", None, 2)
    assert sorted(map(tuple, job["result"]["new"])) == [("image", "grass"), ("image", "leaf"), ("text", "meadow")]
    left = client.post("/suggest", files=files).json()
    assert (left["chosen"], left["learned"]) == ([], 3)
    refused = client.post("/update", files=files, data={"label": ["grass", "leaf"]})
    assert "found 2 labels and 3 files; valid: one label for all, or one for each" in refused.json()["detail"]
