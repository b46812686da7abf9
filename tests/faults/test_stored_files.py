"""A server gives out stored files, and nothing that was put in their place."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

import httpx
import pytest
from serving import served

import remodal
from remodal.search import Index, keep_up
from remodal.search.rows import Stored

LEAVES = "found a link that leaves the folder; valid: files below it"


def replaced(stored: dict[str, Stored], store: Path, secret: Path) -> dict[str, str]:
    """Attack each file but the first, by its name; what the server has to say of each."""
    attacks = {
        "image/1.png": (lambda path: path.symlink_to(secret), LEAVES),
        "image/2.png": (lambda path: path.symlink_to("/dev/zero"), LEAVES),
        "image/3.png": (os.mkfifo, "isn't a file; valid: regular files"),
        "image/4.png": (Path.mkdir, "isn't a file; valid: regular files"),
        "image/5.png": (lambda path: path.symlink_to(path), "can't be read (Too many levels of symbolic links)"),
        "image/6.png": (lambda path: None, "can't be read (No such file or directory)"),
    }
    for name, (attack, _) in attacks.items():
        (store / name).unlink()
        attack(store / name)
    (store / "deep").rename(store.parent / "was")
    (store / "deep").symlink_to(secret.parent)
    said = {name: problem for name, (_, problem) in attacks.items()}
    assert Path(stored["deep/secret.png"].path).read_bytes() == secret.read_bytes()
    return {**said, "deep/secret.png": LEAVES}


@pytest.mark.long  # serve/test_api.py and test_below.py open some quickly
def test_what_was_put_in_a_stored_files_place_is_not_given_out(
    saved: Path, lite_cache: Path, folder: Path, tmp_path: Path
) -> None:
    store, secret = tmp_path / "store", tmp_path / "elsewhere/secret.png"
    shutil.copytree(folder / "image/warm", store / "image")
    (store / "deep").mkdir()
    shutil.copy(folder / "image/cold/0.png", store / "deep/secret.png")
    secret.parent.mkdir()
    shutil.copy(folder / "image/cold/7.png", secret)
    model = remodal.load(saved, cache=lite_cache)
    index = Index.create(str(tmp_path / "index"), str(saved), model.backbone.fingerprint, model.backbone.width)
    keep_up(index, model, store)
    stored = {Path(one.path).relative_to(store.resolve()).as_posix(): one for one in index.stored()}
    with served(saved, lite_cache, "--index", index.uri) as server:
        expected = replaced(stored, store, secret)
        for name, said in expected.items():
            answer = httpx.get(f"{server.url}/media/{stored[name].id}", timeout=20)
            assert (answer.status_code, answer.json()) == (404, {"detail": said}), name
            assert answer.headers["x-content-type-options"] == "nosniff"
        whole = httpx.get(f"{server.url}/media/{stored['image/0.png'].id}")
        assert (whole.content, whole.headers["content-type"]) == ((store / "image/0.png").read_bytes(), "image/png")
        part = httpx.get(f"{server.url}/media/{stored['image/0.png'].id}", headers={"range": "bytes=1-3"})
        assert (part.status_code, part.content) == (206, b"PNG")
        for _ in range(100):
            if not [name for name in server.open_files() if str(store) in name]:
                break
            time.sleep(0.1)
        else:
            raise AssertionError(server.open_files())
