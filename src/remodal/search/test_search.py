"""Stored media are found by words and by other media, and an index stays true to its folder and its model."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path
from urllib.request import Request, urlopen

import pytest
from moto.server import ThreadedMotoServer

import remodal
from remodal.errors import BadItem, RemodalError
from remodal.media import Found
from remodal.search import Index, forget, keep_up, refresh
from remodal.updating import update


@pytest.fixture
def model(saved: Path, lite_cache: Path) -> remodal.Model:
    """It knows red and blue pictures, high and low tones, tea and ships."""
    return remodal.load(saved, cache=lite_cache)


@pytest.fixture
def store(folder: Path, tmp_path: Path) -> Path:
    """Some of the media, in a folder that may be changed."""
    root = tmp_path / "store"
    for name in ("image/warm/0.png", "image/cold/1.png", "audio/warm/2.wav", "audio/cold/3.wav", "text/cold/4.txt"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(folder / name, root / name)
    (root / ".hidden.png").write_bytes(b"not looked at")
    (root / "manifest.csv").write_text("neither")
    return root


@pytest.fixture
def index(model: remodal.Model, tmp_path: Path) -> Index:
    """An empty one."""
    return Index.create(str(tmp_path / "index"), "model", model.backbone.fingerprint, model.backbone.width)


def names(hits: list[remodal.search.Hit]) -> list[str]:
    """What stands between the store and the suffix."""
    return ["/".join(Path(hit.path).parts[-3:-1]) for hit in hits]


def test_words_find_media_of_every_modality(index: Index, model: remodal.Model, store: Path) -> None:
    assert keep_up(index, model, store)[:3] == (5, 0, 0)
    warm = index.search(model.embed_words("warm").tolist(), top=2)
    assert set(names(warm)) == {"image/warm", "audio/warm"}
    assert warm[0].nearness >= warm[1].nearness > 0


def test_a_medium_finds_media_of_other_modalities(
    index: Index, model: remodal.Model, store: Path, folder: Path
) -> None:
    keep_up(index, model, store)
    (answer,) = model.answers([folder / "audio/cold/7.wav"])
    (hit,) = index.search(answer.place.tolist(), ["image"], top=1)
    assert (hit.modality, hit.label) == ("image", "cold")


def test_what_is_known_is_not_embedded_again(index: Index, model: remodal.Model, store: Path) -> None:
    keep_up(index, model, store)
    assert keep_up(index, model, store)[:3] == (0, 5, 0)
    shutil.move(store / "image/warm/0.png", store / "renamed.png")
    shutil.copy(store / "image/cold/1.png", store / "copied.png")
    assert keep_up(index, model, store)[:3] == (0, 6, 1)
    assert {Path(one.path).name for one in index.stored()} >= {"renamed.png", "copied.png"}


def test_a_changed_file_is_embedded_again_and_a_removed_one_leaves(
    index: Index, model: remodal.Model, store: Path, folder: Path
) -> None:
    keep_up(index, model, store)
    shutil.copy(folder / "image/warm/5.png", store / "image/cold/1.png")
    (store / "audio/cold/3.wav").unlink()
    assert keep_up(index, model, store)[:3] == (1, 3, 1)
    found = {"/".join(Path(one.path).parts[-3:-1]): one.label for one in index.stored()}
    assert found["image/cold"] == "warm"
    assert "audio/cold" not in found


def test_a_file_that_cannot_be_read_is_told_of_and_leaves_the_index(
    index: Index, model: remodal.Model, store: Path
) -> None:
    keep_up(index, model, store)
    (store / "image/cold/1.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing more")
    done = keep_up(index, model, store)
    assert [Path(one.path).name for one in done.refused] == ["1.png"]
    assert len(index) == 4


@pytest.fixture
def secret(folder: Path, tmp_path: Path) -> Path:
    """A picture beside the store."""
    return Path(shutil.copytree(folder / "image/cold", tmp_path / "secret")) / "5.png"


def test_a_link_out_of_the_folder_is_told_of_and_not_followed(
    index: Index, model: remodal.Model, store: Path, secret: Path
) -> None:
    (store / "a.png").symlink_to(secret)
    (store / "more").symlink_to(secret.parent)
    (store / "b.png").symlink_to("/dev/zero")
    os.mkfifo(store / "c.png")
    (store / "stays.png").symlink_to("image/warm/0.png")
    done = keep_up(index, model, store)
    leaves = "found a link that leaves the folder; valid: files below it"
    assert {Path(one.path).name: one.reason for one in done.refused} == {
        "a.png": leaves,
        "more": leaves,
        "b.png": leaves,
        "c.png": "isn't a file; valid: regular files",
    }
    assert len(index) == 5 + 1


@pytest.mark.parametrize("replaced", ["image/cold/1.png", "image/cold"])
def test_a_link_put_in_place_of_a_stored_file_is_not_followed(
    index: Index, model: remodal.Model, store: Path, secret: Path, replaced: str
) -> None:
    keep_up(index, model, store)
    (stored,) = [one for one in index.stored() if "image/cold" in one.path]
    shutil.copy(secret, secret.with_name("1.png"))
    shutil.move(store / replaced, store.parent / "was")
    (store / replaced).symlink_to(secret if replaced.endswith("png") else secret.parent)
    assert Path(stored.path).read_bytes() == secret.read_bytes()
    found = index.file(stored.id)
    assert found is not None
    for read in (found.read, found.open):
        with pytest.raises(BadItem, match="found a link that leaves the folder"):
            read()
    index.put([replace(stored, lineage="of an earlier version")])
    (refused,) = refresh(index, model).refused
    assert refused.reason.startswith("found a link that leaves the folder")
    keep_up(index, model, store)
    assert stored.path not in {one.path for one in index.stored()}


def test_two_folders_share_an_index(index: Index, model: remodal.Model, store: Path, folder: Path) -> None:
    keep_up(index, model, store)
    keep_up(index, model, folder / "text")
    assert len(index) == 5 + 16
    (store / "text/cold/4.txt").unlink()
    assert keep_up(index, model, store).removed == 1
    assert len(index) == 4 + 16


def test_what_is_not_named_as_media_is_counted(index: Index, model: remodal.Model, store: Path) -> None:
    for name in ("a.xyz", "image/b.XYZ", "README", ".hidden"):
        (store / name).write_text("not named as media are")
    assert keep_up(index, model, store).others == {".xyz": 2, ".csv": 1, "": 1}


def test_a_file_whose_name_is_not_text_does_not_keep_the_others_out(
    index: Index, model: remodal.Model, store: Path
) -> None:
    odd = os.fsdecode(os.fsencode(store / "image") + b"/caf\xe9.png")
    shutil.copy(store / "image/warm/0.png", odd)
    done = keep_up(index, model, store)
    assert (done.embedded, [tuple(one) for one in done.refused]) == (5, [(odd, "found a file name that isn't UTF-8")])


def test_a_folder_inside_another_one_is_one_with_it(index: Index, model: remodal.Model, store: Path) -> None:
    keep_up(index, model, store)
    assert keep_up(index, model, store / "image")[:3] == (0, 2, 0)
    assert len(index) == 5
    (store / "image/warm/0.png").unlink()
    assert keep_up(index, model, store)[:3] == (0, 4, 1)
    assert {one.folder for one in index.stored()} == {str(store.resolve())}
    (store / "image/cold/1.png").unlink()
    assert keep_up(index, model, store / "image")[:3] == (0, 0, 1)
    assert len(index) == 3


def test_a_folder_that_was_moved_leaves_its_old_place(index: Index, model: remodal.Model, store: Path) -> None:
    keep_up(index, model, store)
    store.rename(store.with_name("moved"))
    shutil.copytree(store.with_name("moved"), store.with_name("copied"))
    assert keep_up(index, model, store.with_name("moved"))[:3] == (0, 5, 5)
    assert keep_up(index, model, store.with_name("copied"))[:3] == (0, 5, 0)
    assert {Path(one.folder).name for one in index.stored()} == {"moved", "copied"}


def test_what_lies_on_a_disk_that_is_away_stays(index: Index, model: remodal.Model, store: Path, folder: Path) -> None:
    disk = store.with_name("disk")
    shutil.copytree(store, disk / "media")
    keep_up(index, model, disk / "media")
    disk.rename(store.with_name("away"))
    assert keep_up(index, model, store)[:3] == (0, 5, 0)
    assert len(index) == 10


def test_a_folder_can_be_forgotten_there_or_not(index: Index, model: remodal.Model, store: Path) -> None:
    keep_up(index, model, store)
    assert forget(index, store / "image") == 2
    shutil.rmtree(store)
    with pytest.raises(RemodalError, match="no such folder; valid: one that is there, or --forget"):
        keep_up(index, model, store)
    assert forget(index, store) == 3
    with pytest.raises(RemodalError, match=r"the index holds nothing of it; it holds files of: none"):
        forget(index, store)


def test_an_index_of_an_earlier_version_is_taken_up(index: Index, model: remodal.Model, store: Path) -> None:
    keep_up(index, model, store)
    index._table.drop_columns(["unit"])
    again = Index.open(index.uri)
    assert keep_up(again, model, store)[:3] == (0, 5, 0)


def test_a_model_that_has_learned_more_makes_its_tower_stale(
    index: Index, model: remodal.Model, store: Path, saved: Path, folder: Path, lite_cache: Path, tmp_path: Path
) -> None:
    keep_up(index, model, store)
    assert index.stale(model.lineage) == {}
    shutil.copytree(folder / "audio/warm", tmp_path / "more/audio/hum")
    update(saved, tmp_path / "more", cache=lite_cache)
    newer = remodal.load(saved, cache=lite_cache)
    assert index.stale(newer.lineage) == {"image": 2, "audio": 2}
    assert refresh(index, newer)[:2] == (4, 1)
    assert index.stale(newer.lineage) == {}
    assert len(index) == 5


def test_file_names_with_quotes_are_kept_and_removed(index: Index, model: remodal.Model, store: Path) -> None:
    odd = store / "it's \"odd\"; DROP TABLE media -- 'ü.txt"
    odd.write_text("a ship on the sea")
    keep_up(index, model, store)
    assert odd.name in {Path(one.path).name for one in index.stored()}
    odd.unlink()
    assert keep_up(index, model, store).removed == 1


def test_an_index_is_opened_again_by_another_process(index: Index, model: remodal.Model, store: Path) -> None:
    keep_up(index, model, store)
    again = Index.open(index.uri)
    assert len(again) == 5
    assert again.about[:2] == ("model", model.backbone.fingerprint)
    stored = again.stored()[0]
    assert again.file(stored.id) == Found(store.resolve(), Path(stored.path))
    assert again.file("' OR 1=1") is None


def test_there_is_no_index_where_there_is_none(tmp_path: Path) -> None:
    with pytest.raises(RemodalError, match="found no index; valid: what remodal index"):
        Index.open(str(tmp_path / "nothing"))
    with pytest.raises(RemodalError, match="found no index"):
        Index.open(str(tmp_path))


def test_a_model_with_another_frozen_model_is_refused(tmp_path: Path, model: remodal.Model, store: Path) -> None:
    other = Index.create(str(tmp_path / "index"), "model", "lite-0123", model.backbone.width)
    with pytest.raises(RemodalError, match="made with the backbone lite-0123"):
        keep_up(other, model, store)


def test_an_index_goes_with_its_model(index: Index, model: remodal.Model, store: Path) -> None:
    keep_up(index, model, store)
    moved = Index.create(index.uri, "moved", model.backbone.fingerprint, model.backbone.width)
    assert (moved.about.model, len(moved)) == ("moved", 5)
    with pytest.raises(RemodalError, match="made with the backbone"):
        Index.create(index.uri, "moved", "another", 7)
    assert Index.open(index.uri).about == moved.about


def test_an_index_in_an_object_store(
    model: remodal.Model, store: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    address = {"ENDPOINT": f"http://{host}:{port}", "ALLOW_HTTP": "true", "REGION": "us-east-1"}
    for name, value in {**address, "ACCESS_KEY_ID": "nobody", "SECRET_ACCESS_KEY": "nothing"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    try:
        urlopen(Request(f"http://{host}:{port}/media", method="PUT"))
        far = Index.create("s3://media/index", "model", model.backbone.fingerprint, model.backbone.width)
        assert keep_up(far, model, store)[:3] == (5, 0, 0)
        (store / "image/warm/0.png").unlink()
        assert keep_up(far, model, store)[:3] == (0, 4, 1)
        again = Index.open("s3://media/index")
        assert again.about == far.about
        assert names(again.search(model.embed_words("warm").tolist(), ["audio"], top=1)) == ["audio/warm"]
        with pytest.raises(RemodalError, match="s3://media/other: found no index"):
            Index.open("s3://media/other")
        with pytest.raises(RemodalError, match=r"^s3://nowhere/index: the index can't be opened \(.*404"):
            Index.open("s3://nowhere/index")
    finally:
        server.stop()
    with pytest.raises(RemodalError, match="s3://media/index: the index can't be used"):
        len(again)
