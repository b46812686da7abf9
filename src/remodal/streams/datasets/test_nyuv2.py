"""NYU Depth V2 as it is downloaded."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from remodal.errors import RemodalError
from remodal.modalities import get_modality
from remodal.streams.datasets import prepare
from remodal.streams.datasets.conftest import write_nyuv2, write_sunrgbd
from remodal.streams.outside import list_outside


def test_views_become_files_in_millimetres(root: Path) -> None:
    write_nyuv2(root / "nyuv2")
    prepare(["nyuv2"], root)
    items = list_outside(root, None).items
    assert [item.label for item in items] == ["kitchen", "home office", "others", "others"] * 2
    assert [item.split for item in items] == ["train"] * 4 + ["test"] * 4
    third = items[2]
    assert (third.id, third.group, third.unit) == ("nyuv2/depth/0003.png", "cafe_0002", "mm")
    metres = get_modality("depth").decode(third.read(), where=third.id, unit=third.unit)
    assert np.allclose(metres, np.tile([3.0, 3.1, 3.2, 3.3], (3, 1))[None])  # 3 high, 4 wide


def test_what_is_there_already_is_not_written_again(root: Path) -> None:
    write_nyuv2(root)
    prepare(["nyuv2"], root)
    first = root / "depth" / "0001.png"
    before, stamp = first.read_bytes(), first.stat().st_mtime_ns
    (root / "depth" / "0002.png").unlink()
    (root / "depth" / ".0003.png.1.part").write_bytes(b"left by a process that was killed")
    prepare(["nyuv2"], root)
    assert (first.read_bytes(), first.stat().st_mtime_ns) == (before, stamp)
    assert sorted(one.name for one in (root / "depth").iterdir()) == [f"{n:04}.png" for n in range(1, 9)]


def test_a_split_that_does_not_fit_is_refused(root: Path) -> None:
    write_nyuv2(root)
    savemat(root / "splits.mat", {"trainNdxs": [[1], [9]], "testNdxs": [[2]]})
    with pytest.raises(RemodalError, match="splits.mat: found view 9; valid: 1 to 8"):
        prepare(["nyuv2"], root)
    savemat(root / "splits.mat", {"trainNdxs": [[1]]})
    with pytest.raises(RemodalError, match="splits.mat: missing testNdxs; valid: the file of https://cs.nyu.edu"):
        prepare(["nyuv2"], root)


def test_a_file_that_is_no_hdf5_is_refused(root: Path) -> None:
    write_nyuv2(root)
    (root / "nyu_depth_v2_labeled.mat").write_bytes(b"cut off")
    with pytest.raises(RemodalError, match="nyu_depth_v2_labeled.mat: can't be read"):
        prepare(["nyuv2"], root)


def test_without_h5py_one_line_says_how_to_install_it(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("nyu_depth_v2_labeled.mat", "splits.mat"):
        (root / name).touch()
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(RemodalError, match=r"'h5py'; install it: pip install 'remodal\[datasets\]'"):
        prepare(["nyuv2"], root)


def test_it_is_not_used_beside_sun_rgbd_which_holds_it(root: Path) -> None:
    write_sunrgbd(root, ["lab"])
    with pytest.raises(RemodalError, match="found nyuv2 and sunrgbd; valid: one of them, since sunrgbd holds"):
        prepare(["sunrgbd", "nyuv2"], root)
