"""A folder on this machine and one behind a URL: the same stream."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest

from remodal.errors import BadItem, RemodalError
from remodal.streams import lessons, stream, verify
from remodal.streams.conftest import Write
from remodal.streams.outside import list_outside
from remodal.streams.places import LocalFolder, RemoteFolder, place_of

EIGHT = [f"text/{label}/{number}.txt" for label in ("grey_heron", "lapwing") for number in range(4)]


@pytest.fixture
def memory() -> Iterator[fsspec.AbstractFileSystem]:
    """A file system of this process alone, empty before and after."""
    system = fsspec.filesystem("memory")
    yield system
    if system.exists("/birds"):
        system.rm("/birds", recursive=True)


def uploaded(root: Path, system: fsspec.AbstractFileSystem) -> str:
    """The URL of a copy."""
    for path in root.rglob("*"):
        if path.is_file():
            system.pipe(f"/birds/{path.relative_to(root).as_posix()}", path.read_bytes())
    return "memory://birds"


def test_a_folder_behind_a_url_is_the_same_stream(write: Write, memory: fsspec.AbstractFileSystem) -> None:
    root = write(*EIGHT, "imgae/x/a.png", "text/.hidden/b.txt", "text/c.txt", "text/lapwing/d.docx")
    url = uploaded(root, memory)
    here, there = list_outside(root, None), list_outside(url, None)
    assert [(item.id, item.label, item.split, item.read()) for item in there.items] == [
        (item.id, item.label, item.split, item.read()) for item in here.items
    ]
    assert len(there.items) == 8
    assert there.quarantined == here.quarantined
    assert (stream(url).name, verify(url)[0].path) == ("birds", "imgae")
    assert len(lessons(url)[0]) == 1


def test_so_is_one_with_a_manifest(manifest: Write, write: Write, memory: fsspec.AbstractFileSystem) -> None:
    write("a.txt", "b.txt")
    rows = ["a.txt,text,dog,train", "b.txt,text,dog,test", "../up.txt,text,dog,test", "c.txt,text,dog,test"]
    root = manifest("path,modality,label,split", *rows)
    items, quarantined = list_outside(uploaded(root, memory), None)
    assert [(item.id, item.split) for item in items] == [("a.txt", "train"), ("b.txt", "test")]
    assert dict(quarantined) == {
        "../up.txt": "leaves the folder; valid: a path below it, without '..' (manifest.csv line 4)",
        "c.txt": "isn't a file; valid: files (manifest.csv line 5)",
    }


def test_a_file_that_is_gone_is_a_bad_item(write: Write, memory: fsspec.AbstractFileSystem) -> None:
    listing = list_outside(uploaded(write(*EIGHT), memory), None)
    memory.rm("/birds/text/lapwing/0.txt")
    with pytest.raises(BadItem, match=r"text/lapwing/0.txt: can't be read \(FileNotFoundError"):
        next(item for item in listing.items if item.id == "text/lapwing/0.txt").read()


def test_whatever_a_stores_client_raises_is_said_in_one_line(
    write: Write, memory: fsspec.AbstractFileSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = uploaded(write(*EIGHT), memory)

    def refused(*arguments: object, **named: object) -> None:
        raise PermissionError("403\n  Forbidden")

    monkeypatch.setattr(type(memory), "ls", refused)
    with pytest.raises(RemodalError, match=r"memory://birds: the folder can't be read \(PermissionError: 403 F"):
        list_outside(url, None)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("memory://nowhere", "memory://nowhere: found no folder there; valid: a folder's URL"),
        ("nosuch://a", r"nosuch://a: can't be reached \(Protocol not known: nosuch\)"),
    ],
)
def test_a_url_that_leads_nowhere_is_said(url: str, said: str) -> None:
    with pytest.raises(RemodalError, match=said):
        stream(url)


def test_a_url_of_this_machine_is_a_folder_of_it(write: Write, memory: fsspec.AbstractFileSystem) -> None:
    root = write(*EIGHT)
    assert place_of(root.as_uri().replace("%20", " ")) == LocalFolder(root)
    assert isinstance(place_of(uploaded(root, memory)), RemoteFolder)
