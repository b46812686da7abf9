"""SUN RGB-D as it is downloaded."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from remodal.errors import RemodalError
from remodal.modalities import get_modality
from remodal.streams import stream
from remodal.streams.datasets import prepare
from remodal.streams.datasets.conftest import put, write_split, write_sunrgbd
from remodal.streams.outside import list_outside

SCENE = "/n/fs/sun3d/data/SUNRGBD/kv1/NYUdata/NYU0001"


def test_the_19_scene_classes_count_and_no_others(root: Path) -> None:
    write_sunrgbd(root, ["furniture_store", "dinette", "idk", "lab"])
    (report,) = prepare(["sunrgbd"], root).reports
    items = list_outside(root, None).items
    assert {item.label for item in items} == {"furniture store", "lab"}
    assert (report.items, report.missing) == ({"train": 2, "test": 2}, ())
    assert [item.group for item in items][::3] == [
        "SUNRGBD/kv2/kinect2data/000000_2014-05-26_14-23-37_260595134347",
        "SUNRGBD/xtion/sun3ddata/hotel/room3",
    ]


def test_turned_bits_become_metres(root: Path) -> None:
    write_sunrgbd(root)
    (hidden,) = root.glob("SUNRGBD/kv2/*/000000_*/depth_bfx")
    put(hidden / "._0_abs.png", "what a Mac leaves beside a file")
    prepare(["sunrgbd"], root)
    (task, *_) = stream(root, classes_per_task=19).tasks
    assert len(task.classes) == 19
    assert not any("._" in item.id for item in task.train)
    item = task.train[0]
    metres = get_modality("depth").decode(item.read(), where=item.id, unit=item.unit)
    assert np.allclose(metres, [[[0.001, 2.0], [5.001, 0.0]]])  # stored as 8, 16000 and 40008


def test_paths_of_other_disks_and_double_slashes(root: Path) -> None:
    write_sunrgbd(root, ["lab"])
    put(root / "SUNRGBD" / "kv1/NYUdata/NYU0001" / "scene.txt", "kitchen")
    put(root / "SUNRGBD" / "kv1/NYUdata/NYU0001" / "depth_bfx" / "NYU0001.png")
    write_split(root, alltrain=[f"{SCENE}/"], alltest=[f"/elsewhere//SUNRGBD//{SCENE.partition('SUNRGBD/')[2]}"])
    prepare(["sunrgbd"], root)
    listing = list_outside(root, None)
    assert [item.id for item in listing.items] == ["SUNRGBD/kv1/NYUdata/NYU0001/depth_bfx/NYU0001.png"]


@pytest.mark.parametrize("lacking", ["scene.txt", "depth_bfx/*.png"])
def test_a_scene_that_is_not_whole_is_missing(root: Path, lacking: str) -> None:
    write_sunrgbd(root, ["lab"])
    write_split(root, alltrain=[SCENE], alltest=[])
    if lacking != "scene.txt":
        put(root / "SUNRGBD/kv1/NYUdata/NYU0001/scene.txt", "lab")
    prepared = prepare(["sunrgbd"], root)
    assert prepared.manifest is None
    assert prepared.reports[0].missing == (f"SUNRGBD/kv1/NYUdata/NYU0001/{lacking}",)


def test_another_split_is_refused(root: Path) -> None:
    write_sunrgbd(root, ["lab"])
    write_split(root, alltrain=[SCENE])
    with pytest.raises(RemodalError, match="allsplit.mat: missing alltest; valid: the file of https://rgbd"):
        prepare(["sunrgbd"], root)
    (root / "SUNRGBDtoolbox/traintestSUNRGBD/allsplit.mat").write_bytes(b"no such thing" * 40)
    with pytest.raises(RemodalError, match="allsplit.mat: can't be read as a MATLAB file"):
        prepare(["sunrgbd"], root)
