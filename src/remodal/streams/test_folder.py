"""``<modality>/<class>/<files>``: what becomes an item, and what is set aside."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from remodal.errors import BadItem, RemodalError
from remodal.modalities import base
from remodal.streams.conftest import Write
from remodal.streams.folder import list_folder
from remodal.streams.places import LocalFolder


def reasons(root: Path) -> dict[str, str]:
    return dict(list_folder(LocalFolder(root)).quarantined)


def ids(root: Path) -> list[str]:
    return [item.id for item in list_folder(LocalFolder(root)).items]


def test_folders_name_modality_and_class(write: Write) -> None:
    root = write("text/guide_dog/b.txt", "text/guide_dog/a.TXT", "image/cat/1.png")
    listing = list_folder(LocalFolder(root))
    assert listing.quarantined == ()
    assert [(item.id, item.modality, item.label) for item in listing.items] == [
        ("image/cat/1.png", "image", "cat"),
        ("text/guide_dog/a.TXT", "text", "guide dog"),
        ("text/guide_dog/b.txt", "text", "guide dog"),
    ]
    assert listing.items[2].read() == b"this is text/guide_dog/b.txt"


def test_hidden_files_and_files_beside_the_folders_are_left_out(write: Write) -> None:
    root = write("text/dog/a.txt", "text/dog/.DS_Store", ".git/config", "README.md", "notes.csv", "text/README.md")
    assert ids(root) == ["text/dog/a.txt"]
    assert reasons(root) == {}


def test_an_unknown_modality_gets_the_nearest_name(write: Write) -> None:
    root = write("text/dog/a.txt", "imgae/dog/a.png")
    assert ids(root) == ["text/dog/a.txt"]
    assert reasons(root) == {
        "imgae": "unknown modality 'imgae'; did you mean 'image'? valid: audio, depth, image, text, video"
    }


def test_a_wrong_extension_is_set_aside(write: Write) -> None:
    root = write("text/dog/a.txt", "text/dog/b.docx", "text/dog/c")
    assert ids(root) == ["text/dog/a.txt"]
    assert reasons(root) == {
        "text/dog/b.docx": "found suffix '.docx'; valid for text: .txt",
        "text/dog/c": "found suffix ''; valid for text: .txt",
    }


def test_a_file_in_no_class_is_set_aside(write: Write) -> None:
    root = write("text/dog/a.txt", "text/b.txt", "text/_/c.txt", "text/dog/deep/d.txt")
    assert ids(root) == ["text/dog/a.txt"]
    assert reasons(root) == {
        "text/b.txt": "found a file in no class folder; valid: <modality>/<class>/<files>",
        "text/_/c.txt": "found a blank label; valid: the name of a class",
        "text/dog/deep": "found a folder inside a class folder; valid: <modality>/<class>/<files>",
    }


def test_empty_folders_are_reported(write: Write) -> None:
    root = write("text/dog/a.txt")
    (root / "image").mkdir()
    (root / "text/cat").mkdir()
    reason = "found an empty folder; valid: <modality>/<class>/<files>"
    assert reasons(root) == {"image": reason, "text/cat": reason}


def test_a_link_out_of_the_folder_is_set_aside(write: Write, tmp_path: Path) -> None:
    root = write("text/dog/a.txt")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/secret.txt").write_text("not yours")
    (root / "text/dog/b.txt").symlink_to(tmp_path / "elsewhere/secret.txt")
    (root / "text/cat").symlink_to(tmp_path / "elsewhere")
    assert ids(root) == ["text/dog/a.txt"]
    reason = "found a link that leaves the folder; valid: files below it"
    assert reasons(root) == {"text/dog/b.txt": reason, "text/cat/secret.txt": reason}


def test_a_second_link_to_a_file_and_a_link_to_itself_are_set_aside(write: Write) -> None:
    root = write("text/dog/a.txt")
    (root / "text/dog/b.txt").symlink_to("a.txt")
    (root / "text/dog/c.txt").symlink_to("c.txt")
    (root / "text/loop.txt").symlink_to("loop.txt")
    assert ids(root) == ["text/dog/a.txt"]
    found = reasons(root)
    assert found["text/dog/b.txt"] == "is the same file as text/dog/a.txt; valid: each file once"
    assert found["text/dog/c.txt"].startswith("can't be read (")
    assert "text/loop.txt" in found


def test_a_pipe_is_not_waited_for(write: Write) -> None:
    root = write("text/dog/a.txt")
    os.mkfifo(root / "text/dog/pipe.txt")
    assert reasons(root) == {"text/dog/pipe.txt": "isn't a file; valid: regular files"}


def test_a_file_name_that_is_not_utf8_is_set_aside(write: Write) -> None:
    root = write("text/dog/a.txt")
    Path(os.fsdecode(os.fsencode(root / "text/dog") + b"/caf\xe9.txt")).write_text("a name in Latin-1")
    assert reasons(root) == {"text/dog/caf\\udce9.txt": "found a file name that isn't UTF-8"}


def test_a_folder_that_cannot_be_read_is_an_error_and_one_below_it_is_set_aside(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The refusal is simulated: who runs the tests may be allowed to read everything."""
    root = write("text/dog/a.txt", "text/cat/b.txt").resolve()
    listed = Path.iterdir

    def refuse(folder: Path) -> None:
        monkeypatch.setattr(Path, "iterdir", lambda path: _denied() if path == folder else listed(path))

    refuse(root / "text/cat")
    assert ids(root) == ["text/dog/a.txt"]
    assert reasons(root) == {"text/cat": "the folder can't be read (Permission denied)"}
    refuse(root)
    with pytest.raises(RemodalError, match=r"own data: the folder can't be read \(Permission denied\)"):
        list_folder(LocalFolder(root))


def _denied() -> None:
    raise PermissionError(13, "Permission denied")


def test_the_unit_goes_to_depth_alone(write: Write) -> None:
    root = write("depth/cup/a.png", "image/cup/a.png")
    assert {item.modality: item.unit for item in list_folder(LocalFolder(root), "cm").items} == {
        "depth": "cm",
        "image": None,
    }


def test_a_file_that_vanished_or_grew_too_large_is_a_bad_item(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    (item,) = list_folder(LocalFolder(root := write("text/dog/a.txt"))).items
    monkeypatch.setattr(base, "MAX_FILE_BYTES", 10)
    with pytest.raises(BadItem, match=r"text/dog/a.txt: found more than 10 bytes; valid: at most so many"):
        item.read()
    (root / "text/dog/a.txt").unlink()
    with pytest.raises(BadItem, match=r"text/dog/a.txt: can't be read \(No such file or directory\)"):
        item.read()
