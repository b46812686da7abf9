"""UCF-101 as it is downloaded."""

from __future__ import annotations

from pathlib import Path

from remodal.streams.datasets import prepare
from remodal.streams.datasets.conftest import write_ucf101
from remodal.streams.outside import list_outside


def test_names_splits_and_groups(root: Path) -> None:
    write_ucf101(root)
    prepare(["ucf101"], root)
    items = {item.id: item for item in list_outside(root, None).items}
    assert len(items) == 9
    first = items["UCF-101/ApplyEyeMakeup/v_ApplyEyeMakeup_g08_c01.avi"]
    assert (first.modality, first.label, first.split) == ("video", "apply eye makeup", "train")
    # a group is one of a class: the eighth of two classes have nothing to do with each other
    groups = {item.label: item.group for item in items.values() if item.split == "train"}
    assert groups["apply eye makeup"] == "ApplyEyeMakeup_g08"
    assert len(set(groups.values())) == 3


def test_the_class_that_is_written_in_two_ways_is_one(root: Path) -> None:
    write_ucf101(root)
    prepare(["ucf101"], root)
    upside_down = [item for item in list_outside(root, None).items if "HandStand" in item.id]
    assert [item.label for item in upside_down] == ["handstand pushups"] * 3
    assert upside_down[0].id == "UCF-101/HandstandPushups/v_HandStandPushups_g08_c01.avi"


def test_both_archives_may_lie_in_a_folder_of_their_own(root: Path) -> None:
    write_ucf101(root / "ucf101")
    (report,) = prepare(["ucf101"], root).reports
    assert report.items == {"train": 6, "test": 3}
