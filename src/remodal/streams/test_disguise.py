"""Depth maps and sounds as pictures."""

from __future__ import annotations

import dataclasses
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import soundfile
from PIL import Image

from remodal.backbones.lite.lite import Lite
from remodal.errors import BadItem
from remodal.features.extract import extract
from remodal.features.store import FeatureStore
from remodal.modalities import get_modality
from remodal.streams import Item, check, stream
from remodal.streams.conftest import Write
from remodal.streams.disguise import SIDE, disguised
from remodal.streams.files import FileItem
from remodal.streams.places import LocalFolder


def pixels(item: Item) -> np.ndarray:
    return np.asarray(get_modality(item.read_as).decode(item.read(), where=item.id, unit=item.unit))


@pytest.fixture
def depth_map(tmp_path: Path) -> FileItem:
    """One metre away on the left, three on the right, and no reading above."""
    millimetres = np.full((40, 60), 1000, np.uint16)
    millimetres[:, 30:] = 3000
    millimetres[:10] = 0
    Image.fromarray(millimetres).save(tmp_path / "a.png")
    return FileItem(
        "a.png", "depth", "step", "train", "a group", "CC0", place=LocalFolder(tmp_path), unit="mm", task="first"
    )


@pytest.fixture
def sound(tmp_path: Path) -> FileItem:
    """Four seconds of a tone."""
    soundfile.write(tmp_path / "a.wav", np.sin(np.arange(64_000)), 16_000)
    return FileItem("a.wav", "audio", "tone", "train", "", "", place=LocalFolder(tmp_path))


def test_a_depth_map_is_a_picture_of_its_size_whose_near_and_far_are_told_by_colour(depth_map: FileItem) -> None:
    drawn = pixels(disguised(depth_map))
    assert drawn.shape == (40, 60, 3)
    assert not drawn[:10].any()
    near, far = drawn[20, 0].astype(int), drawn[20, 59].astype(int)
    assert near[0] > near[2]  # red
    assert far[2] > far[0]  # blue


def test_of_a_sequence_the_middle_page_is_drawn(tmp_path: Path) -> None:
    pages = [Image.fromarray(np.full((8, size), 500, np.uint16)) for size in (8, 8, 8)]
    pages[1] = Image.fromarray(np.tile(np.linspace(0, 900, 8).astype(np.uint16), (8, 1)))
    pages[0].save(tmp_path / "a.tiff", save_all=True, append_images=pages[1:])
    drawn = pixels(disguised(FileItem("a.tiff", "depth", "x", "train", "", "", place=LocalFolder(tmp_path))))
    assert not drawn[:, 0].any()
    assert drawn[:, 1:].any(axis=-1).all()


def test_a_sound_of_any_length_is_one_square_picture(sound: FileItem) -> None:
    drawn = pixels(disguised(sound)).astype(int)
    assert drawn.shape == (SIDE, SIDE, 3)
    assert len(np.unique(drawn.reshape(-1, 3), axis=0)) > 20
    brightest = drawn.sum(-1).argmax(0)
    assert np.ptp(brightest[5:-5]) <= 2  # the tone goes on from left to right


def test_the_item_stays_what_it_is_and_is_read_as_a_picture(depth_map: FileItem, sound: FileItem) -> None:
    for original in (depth_map, sound):
        before = original.read()
        item = disguised(original)
        for field in dataclasses.fields(Item):
            assert getattr(item, field.name) == getattr(original, field.name)
        assert (item.task, item.unit, item.read_as) == (original.task, None, "image")
        data = item.read()
        picture = Image.open(BytesIO(data))
        assert (picture.format, picture.mode) == ("PNG", "RGB")
        assert data == disguised(original).read()
        assert check(item) is None
        assert (original.read(), original.read_as) == (before, original.modality)


def test_an_original_that_cannot_be_decoded_is_a_bad_item(depth_map: FileItem) -> None:
    path = depth_map.file
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(BadItem, match=r"a.png: found PNG that can't be decoded"):
        disguised(depth_map).read()
    assert check(disguised(depth_map)) is not None


def test_its_tokens_are_those_of_the_picture(depth_map: FileItem, lite: Lite, tmp_path: Path) -> None:
    item = disguised(depth_map)
    (tmp_path / "picture.png").write_bytes(item.read())
    picture = FileItem("picture.png", "image", "step", "train", "", "", place=LocalFolder(tmp_path))
    with FeatureStore(tmp_path / "features") as store:
        keys = extract([item, picture, depth_map], lite, store).keys
        found = store.get(keys.values())
        assert store.info().entries == 2  # the picture is the same, by whichever name; the depth map isn't
    same, plain = (found[keys[one.id]] for one in (picture, depth_map))
    assert plain.shape == same.shape
    assert not np.array_equal(plain, same)


def test_a_stream_in_disguise_has_the_same_tasks(write: Write) -> None:
    plain, other = stream("everyday", seed=1), stream("everyday", seed=1, disguised=True)
    assert [(task.modality, task.classes) for task in plain] == [(task.modality, task.classes) for task in other]
    for task, hidden in zip(plain, other, strict=True):
        assert [item.id for item in task.train] == [item.id for item in hidden.train]
        assert [item.id for item in task.test] == [item.id for item in hidden.test]
        kinds = {item.read_as for item in (*hidden.train, *hidden.test)}
        assert kinds == ({"image"} if task.modality in ("depth", "audio") else {task.modality})
