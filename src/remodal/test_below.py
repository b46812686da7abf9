"""Files below a folder, and what is put in their place."""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from remodal import below
from remodal.below import read_below
from remodal.errors import BadItem
from remodal.modalities import base


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder with a file, beside a secret."""
    (tmp_path / "root/inner").mkdir(parents=True)
    (tmp_path / "root/inner/a.txt").write_text("mine")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/a.txt").write_text("not yours")
    return tmp_path / "root"


def problem(root: Path, path: str) -> str:
    with pytest.raises(BadItem) as caught:
        read_below(root, path, "a.txt")
    return caught.value.reason


def test_files_and_links_that_stay_are_read(root: Path) -> None:
    (root / "link.txt").symlink_to("inner/a.txt")
    (root / "folder").symlink_to("inner")
    for path in ("inner/a.txt", "link.txt", "folder/a.txt", str(root / "inner/a.txt")):
        assert read_below(root, path, path) == b"mine"


def test_what_leaves_the_folder_is_refused(root: Path) -> None:
    (root / "link.txt").symlink_to("../outside/a.txt")
    (root / "folder").symlink_to("../outside")
    for path in ("link.txt", "folder/a.txt", "../outside/a.txt", "/etc/hostname"):
        assert problem(root, path) == "found a link that leaves the folder; valid: files below it"


def test_a_folder_that_was_replaced_by_a_link_is_refused(root: Path) -> None:
    (root / "inner").rename(root / "was")
    (root / "inner").symlink_to("../outside")
    assert "leaves the folder" in problem(root, "inner/a.txt")
    root.rename(root.with_name("moved"))
    root.symlink_to("outside")
    assert "leaves the folder" in problem(root, "a.txt")


@pytest.mark.parametrize("replaced", ["inner/a.txt", "inner"])
def test_a_link_put_there_after_the_look_is_not_followed(
    root: Path, monkeypatch: pytest.MonkeyPatch, replaced: str
) -> None:
    looked = os.path.realpath

    def swap(path: object, **options: bool) -> str:
        real = looked(path, **options)
        (root / replaced).rename(root / "was")
        (root / replaced).symlink_to(root.parent / "outside" / replaced.removeprefix("inner").lstrip("/"))
        return real

    monkeypatch.setattr(below.os.path, "realpath", swap)
    assert problem(root, "inner/a.txt").startswith("can't be read (")
    assert (root / "inner/a.txt").read_text() == "not yours"


def test_pipes_devices_and_folders_are_refused_at_once(root: Path) -> None:
    os.mkfifo(root / "pipe.txt")
    seen: list[str] = []
    reader = threading.Thread(target=lambda: seen.append(problem(root, "pipe.txt")), daemon=True)
    reader.start()
    reader.join(10)
    assert seen == ["isn't a file; valid: regular files"]
    assert problem(root, "inner") == "isn't a file; valid: regular files"
    assert problem(Path("/dev"), "zero") == "isn't a file; valid: regular files"


def test_what_is_not_there_or_too_large_is_told(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert problem(root, "absent.txt") == "can't be read (No such file or directory)"
    assert "null byte" in problem(root, "a\0b")
    monkeypatch.setattr(base, "MAX_FILE_BYTES", 3)
    assert problem(root, "inner/a.txt") == "found more than 3 bytes; valid: at most so many"


def test_nothing_stays_open(root: Path) -> None:
    before = len(list(Path("/dev/fd").iterdir()))
    (root / "link.txt").symlink_to("../outside/a.txt")
    os.mkfifo(root / "pipe.txt")
    for path in ("inner/a.txt", "inner/absent", "link.txt", "pipe.txt", "inner"):
        with suppress(BadItem):
            read_below(root, path, path)
    assert len(list(Path("/dev/fd").iterdir())) == before
