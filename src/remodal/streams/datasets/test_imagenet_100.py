"""ImageNet-100 out of ILSVRC 2012 as it is downloaded."""

from __future__ import annotations

from pathlib import Path

import pytest

from remodal.errors import RemodalError
from remodal.streams.datasets import prepare
from remodal.streams.datasets.conftest import put, write_imagenet
from remodal.streams.datasets.imagenet_100 import names
from remodal.streams.outside import list_outside

IDS = list(names())


def test_every_class_has_a_name_of_its_own_in_small_letters() -> None:
    assert len(set(names().values())) == 1000
    assert sorted(names()) == IDS
    assert all(name == name.lower() for name in names().values())


@pytest.mark.parametrize("flat", [True, False])
def test_validation_pictures_in_one_folder_or_sorted(root: Path, flat: bool) -> None:
    write_imagenet(root / "imagenet", flat=flat)
    (report,) = prepare(["imagenet-100"], root).reports
    items = {(item.label, item.split): item.id for item in list_outside(root, None).items}
    assert len(items) == 200
    assert items["tench", "train"] == "imagenet/train/n01440764/n01440764_10026.JPEG"
    # the ground truth of ILSVRC's own development kit gives class tench to this one first
    assert items["tench", "test"] == (
        "imagenet/val/ILSVRC2012_val_00000293.JPEG" if flat else "imagenet/val/n01440764/ILSVRC2012_val_00000001.JPEG"
    )
    assert "missing: train/n01440764/*.JPEG: 1 of at least 732, " in str(report)
    assert "classes: those of its folder; 100 of 100 are among the first 100 WordNet ids" in str(report)


def test_a_list_chooses_among_all_classes(root: Path) -> None:
    write_imagenet(root, IDS[:150], flat=False)
    chosen = [*IDS[110:150], *IDS[:60]]
    put(root / "train_100.txt", "".join(f"train/{one}/{one}_10026.JPEG {n}\n" for n, one in enumerate(chosen)))
    (report,) = prepare(["imagenet-100"], root).reports
    assert "classes: those of train_100.txt; 60 of 100 are among the first 100 WordNet ids" in str(report)
    assert {item.label for item in list_outside(root, None).items} == {names()[one] for one in chosen}
    put(root / "train_100.txt", "n00000000\n")
    with pytest.raises(RemodalError, match="train_100.txt: found n00000000, which is no class of ILSVRC 2012"):
        prepare(["imagenet-100"], root)


def test_without_a_list_a_hundred_classes_have_to_be_there(root: Path) -> None:
    write_imagenet(root, IDS[:101], flat=False)
    with pytest.raises(RemodalError, match=r"found 101 classes .* valid: 100, in folders of their own or listed in"):
        prepare(["imagenet-100"], root)


def test_the_layout_of_a_copy_in_four_parts(root: Path) -> None:
    for number, one in enumerate(IDS[:100]):
        put(root / f"train.X{number % 4 + 1}" / one / f"{one}_1.JPEG")
        put(root / "val.X" / one / "ILSVRC2012_val_00000001.JPEG")
        put(root / "val.X" / one / "notes.txt")
    assert prepare(["imagenet-100"], root).items == 200
