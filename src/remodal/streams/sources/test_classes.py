"""Folders of classes, as torchvision's ImageFolder reads them."""

from __future__ import annotations

from pathlib import Path

import pytest

from remodal.errors import RemodalError
from remodal.streams.conftest import Write
from remodal.streams.sources import Address
from remodal.streams.sources.classes import list_classes


def listed(root: Path, modality: str = "text") -> tuple[list[tuple[str, str, str]], dict[str, str]]:
    """Path, label and split of each item, and what was set aside."""
    items, quarantined = list_classes(Address.parsed(f"classes:{root}?modality={modality}"), None, 0)
    return [(item.id, item.label, item.split) for item in items], dict(quarantined)


def test_the_splits_are_those_of_the_folders(write: Write) -> None:
    root = write("train/grey_heron/a.txt", "train/lapwing/b.txt", "val/grey_heron/c.txt", "val/lapwing/d.txt")
    assert listed(root) == (
        [
            ("train/grey_heron/a.txt", "grey heron", "train"),
            ("train/lapwing/b.txt", "lapwing", "train"),
            ("val/grey_heron/c.txt", "grey heron", "test"),
            ("val/lapwing/d.txt", "lapwing", "test"),
        ],
        {},
    )


def test_where_there_are_none_a_quarter_of_each_class_is_held_out(write: Write) -> None:
    items, _ = listed(write(*(f"heron/{number}.txt" for number in range(8))))
    assert sorted(split for _, _, split in items) == ["test"] * 2 + ["train"] * 6


def test_test_items_come_before_validation_items(write: Write) -> None:
    items, _ = listed(write("train/heron/a.txt", "test/heron/b.txt", "val/heron/c.txt"))
    assert [path for path, _, _ in items] == ["train/heron/a.txt", "test/heron/b.txt"]


def test_folders_below_a_class_belong_to_it(write: Write) -> None:
    items, _ = listed(write("heron/2024/may/a.txt", "heron/b.txt"))
    assert {(path, label) for path, label, _ in items} == {("heron/2024/may/a.txt", "heron"), ("heron/b.txt", "heron")}


def test_a_file_of_another_kind_is_set_aside(write: Write) -> None:
    assert listed(write("heron/a.txt", "heron/b.docx"))[1] == {
        "heron/b.docx": "found suffix '.docx'; valid for text: .txt"
    }


def test_a_folder_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(RemodalError, match=r"nowhere: can't be read \(No such file or directory\)"):
        listed(tmp_path / "nowhere")
