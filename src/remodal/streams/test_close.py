from __future__ import annotations

import numpy as np
import pytest

from remodal.streams import check, stream
from remodal.streams.close import AMBIENT, FAR_GREY, LIGHT, NEAR_GREY, grey_depth, list_close, shaded

CLOSE = stream("everyday-close")


def test_no_class_is_of_two_modalities_and_image_has_half_of_each() -> None:
    classes: dict[str, set[str]] = {}
    for task in CLOSE:
        classes.setdefault(task.modality, set()).update(task.classes)
    assert {name: len(own) for name, own in classes.items()} == {"image": 21, "depth": 7, "video": 6, "audio": 8}
    assert sum(map(len, classes.values())) == len(set.union(*classes.values()))


def test_every_item_is_a_picture() -> None:
    items = list_close().items
    assert {item.read_as for item in items} == {"image"}
    first = {(item.modality, item.label): item for item in items}.values()
    assert [check(item) for item in first] == [None] * len(first)


def test_sources_stay_on_their_side_of_the_split() -> None:
    groups = {split: {item.group for item in list_close().items if item.split == split} for split in ("train", "test")}
    assert not groups["train"] & groups["test"]


def test_the_nearest_is_darkest_and_nothing_is_white() -> None:
    page = np.array([[1.0, 2.0], [3.0, 0.0]], np.float32)
    assert grey_depth(page[None])[..., 0].tolist() == [[NEAR_GREY, (NEAR_GREY + FAR_GREY) // 2], [FAR_GREY, 255]]


def test_a_wall_that_faces_the_camera_is_as_bright_as_the_light_before_it() -> None:
    wall = np.full((1, 4, 4), 2.0, np.float32)
    expected = 255 * (AMBIENT + (1 - AMBIENT) * LIGHT[2])
    assert shaded(wall) == pytest.approx(expected, abs=0.5)


def test_a_floor_is_brighter_than_a_ceiling() -> None:
    rows = np.linspace(3, 2, 8, dtype=np.float32)  # a floor comes nearer towards the bottom of the picture
    floor = np.tile(rows[:, None], (1, 8))[None]
    assert shaded(floor).mean() > shaded(floor[:, ::-1]).mean()


def test_of_no_reading_nothing_is_drawn() -> None:
    empty = np.zeros((1, 4, 4), np.float32)
    assert (shaded(empty) == 255).all()
    assert (grey_depth(empty) == 255).all()
