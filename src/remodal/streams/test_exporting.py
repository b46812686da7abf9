"""A stream as files: what is written is the same stream again."""

from __future__ import annotations

import shutil
from collections import Counter
from itertools import product
from pathlib import Path

import pytest

from remodal.errors import RemodalError
from remodal.streams import export, stream
from remodal.streams.base import Item, Stream
from remodal.streams.embedded import HERE
from remodal.streams.manifest import SPLITS


def told(one: Item) -> tuple[object, ...]:
    return one.modality, one.label, one.split, one.group, one.licence, one.unit, one.read()


def items(opened: Stream) -> list[Item]:
    return [item for task in opened for item in (*task.train, *task.test)]


def test_what_is_exported_is_the_same_stream(tmp_path: Path) -> None:
    assert export("everyday", tmp_path / "files", items=4) == 4 * 82
    again = items(stream(tmp_path / "files"))
    kept = {told(one) for one in again}
    assert kept <= {told(one) for one in items(stream("everyday"))}
    assert set(Counter((one.modality, one.label) for one in again).values()) == {4}
    assert len(kept) == len(again)
    assert (tmp_path / "files/NOTICE.md").read_bytes() == (HERE / "everyday/NOTICE.md").read_bytes()


def test_files_end_as_their_format_is_called(tmp_path: Path) -> None:
    export("everyday", tmp_path / "files", split="test", items=1)
    files = [path for path in (tmp_path / "files").rglob("*") if path.is_file() and path.parent != tmp_path / "files"]
    assert {path.suffix for path in files} == {".png", ".mp4", ".flac", ".txt"}


def test_a_folder_of_ones_own_goes_out_as_it_came_in(folder: Path, tmp_path: Path) -> None:
    assert export(folder, tmp_path / "files") == 48
    (tmp_path / "files/manifest.csv").rename(tmp_path / "manifest.csv")
    assert Counter(told(one)[-1] for one in items(stream(folder))) == Counter(
        told(one)[-1] for one in items(stream(tmp_path / "files"))
    )
    shutil.move(tmp_path / "manifest.csv", tmp_path / "files/manifest.csv")
    by_split = Counter((one.label, one.split) for one in items(stream(folder)))
    assert by_split == Counter((one.label, one.split) for one in items(stream(tmp_path / "files")))


def test_nothing_is_written_over(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(RemodalError, match="is there already; valid: a new or an empty folder"):
        export("everyday", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_long_names_of_classes_go_out_whole(tmp_path: Path) -> None:
    labels = {"\u732b" * 200, "\u732b" * 199 + "x", "/", "."}
    rows = [f"{number}.txt,text,{label},{split}" for number, (label, split) in enumerate(product(labels, SPLITS))]
    for number in range(len(rows)):
        (tmp_path / f"{number}.txt").write_text(f"number {number}")
    (tmp_path / "manifest.csv").write_text("\n".join(["path,modality,label,split", *rows]), encoding="utf-8")
    assert export(tmp_path, tmp_path / "files") == len(rows)
    assert {told(one) for one in items(stream(tmp_path / "files"))} == {told(one) for one in items(stream(tmp_path))}
