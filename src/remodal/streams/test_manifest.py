"""``manifest.csv``: its columns, and which rows become items."""

from __future__ import annotations

from pathlib import Path

import pytest

from remodal.errors import RemodalError
from remodal.streams.conftest import Write
from remodal.streams.manifest import list_manifest
from remodal.streams.places import LocalFolder

TWO = ("a.txt,text,dog", "b.txt,text,dog")


def reasons(root: Path) -> dict[str, str]:
    return dict(list_manifest(LocalFolder(root)).quarantined)


def ids(root: Path) -> list[str]:
    return [item.id for item in list_manifest(LocalFolder(root)).items]


def test_a_row_says_all_about_its_file(write: Write, manifest: Write) -> None:
    write("any/where/1.png")
    root = manifest(
        "label,path,modality,split,group,task,licence,unit",
        '"dog,  barking",any/where/1.png,depth,test,Rex,first,CC0,cm',
    )
    (item,) = list_manifest(LocalFolder(root), depth_unit="m").items
    assert (item.id, item.modality, item.label) == ("any/where/1.png", "depth", "dog, barking")
    assert (item.split, item.group, item.task, item.licence, item.unit) == (
        "test",
        "Rex",
        "first",
        "CC0",
        "cm",
    )
    assert item.read() == b"this is any/where/1.png"


def test_only_the_files_it_names_are_taken(write: Write, manifest: Write) -> None:
    write("a.txt", "b.txt", "text/dog/c.txt")
    root = manifest("path,modality,label", *TWO)
    assert ids(root) == ["a.txt", "b.txt"]
    assert reasons(root) == {}


def test_without_a_split_one_is_made_that_respects_groups(write: Write, manifest: Write) -> None:
    names = [f"{number}.txt" for number in range(12)]
    write(*names)
    root = manifest("path,modality,label,group", *(f"{name},text,dog,{int(name[:-4]) % 3}" for name in names))
    sides = {(item.group, item.split) for item in list_manifest(LocalFolder(root)).items}
    assert len(sides) == 3
    assert {split for _, split in sides} == {"train", "test"}


def test_without_a_unit_depth_has_the_given_one(write: Write, manifest: Write) -> None:
    write("a.png", "b.png")
    root = manifest("path,modality,label,unit", "a.png,depth,cup,", "b.png,image,cup,")
    assert [item.unit for item in list_manifest(LocalFolder(root), "m").items] == ["m", None]


def test_a_missing_column_is_named(manifest: Write) -> None:
    root = manifest("file,modality,split", "a.txt,text,train")
    with pytest.raises(RemodalError) as caught:
        list_manifest(LocalFolder(root))
    assert str(caught.value) == (
        f"{root}/manifest.csv: missing column path, label; found: file, modality, split; "
        "valid: path, modality, label, and as wanted split, group, task, licence, unit"
    )


def test_an_unknown_column_gets_the_nearest_name(manifest: Write) -> None:
    with pytest.raises(RemodalError, match=r"manifest.csv: unknown column 'splt'; did you mean 'split'\?"):
        list_manifest(LocalFolder(manifest("path,modality,label,splt")))


def test_a_column_that_stands_twice_is_refused(manifest: Write) -> None:
    with pytest.raises(RemodalError, match="found column 'label' twice"):
        list_manifest(LocalFolder(manifest("path,modality,label,label")))


def test_an_empty_manifest_lacks_all_columns(manifest: Write) -> None:
    with pytest.raises(RemodalError, match="missing column path, modality, label; found: none"):
        list_manifest(LocalFolder(manifest()))


def test_a_manifest_that_is_not_csv_in_utf8_is_refused(write: Write) -> None:
    file = write() / "manifest.csv"
    file.write_bytes(b"path,modality,label\ncaf\xe9.txt,text,dog\n")
    with pytest.raises(RemodalError, match=r"manifest.csv: found bytes that aren't UTF-8"):
        list_manifest(LocalFolder(file.parent))
    file.write_bytes(b'path,modality,label\n"a.txt"x,text,dog\n')
    with pytest.raises(RemodalError, match=r"manifest.csv line 2: found broken CSV"):
        list_manifest(LocalFolder(file.parent))
    file.unlink()
    file.mkdir()
    with pytest.raises(RemodalError, match=r"manifest.csv: can't be read \(Is a directory\)"):
        list_manifest(LocalFolder(file.parent))


def test_a_byte_order_mark_and_blank_lines_do_no_harm(write: Write) -> None:
    root = write("a.txt")
    (root / "manifest.csv").write_text("\ufeffpath, modality ,label\r\n\r\na.txt,text,dog\r\n", encoding="utf-8")
    assert ids(root) == ["a.txt"]


@pytest.mark.parametrize(
    ("row", "path", "reason"),
    [
        ("c.txt,text, ", "c.txt", "found a blank label; valid: the name of a class"),
        (",text,dog", "manifest.csv line 4", "found a blank path; valid: a file's path from the folder"),
        ("c.txt,text", "manifest.csv line 4", "found 2 fields; valid: 3, as in the header"),
        ("c.txt,text,dog,big", "manifest.csv line 4", "found 4 fields; valid: 3, as in the header"),
        ("a.txt,text,cat", "a.txt", "is the same file as a.txt; valid: each file once"),
        ("./a.txt,text,dog", "a.txt", "is the same file as a.txt; valid: each file once"),
        ("no.txt,text,dog", "no.txt", "can't be read (No such file or directory)"),
        ("folder.txt,text,dog", "folder.txt", "isn't a file; valid: regular files"),
        ("../c.txt,text,dog", "../c.txt", "leaves the folder; valid: a path below it, without '..'"),
        ("/etc/c.txt,text,dog", "/etc/c.txt", "leaves the folder; valid: a path below it, without '..'"),
        ("link.txt,text,dog", "link.txt", "found a link that leaves the folder; valid: files below it"),
        ("c.txt,image,dog", "c.txt", "found suffix '.txt'; valid for image: "),
        ("c.txt,txt,dog", "c.txt", "unknown modality 'txt'; did you mean 'text'? valid: "),
    ],
)
def test_a_bad_row_is_set_aside_and_the_rest_goes_on(
    write: Write, manifest: Write, row: str, path: str, reason: str
) -> None:
    root = write("a.txt", "b.txt", "c.txt", "folder.txt/inside.txt")
    (root.parent / "outside.txt").write_text("not yours")
    (root / "link.txt").symlink_to("../outside.txt")
    listing = list_manifest(LocalFolder(manifest("path,modality,label", *TWO, row)))
    assert [item.id for item in listing.items] == ["a.txt", "b.txt"]
    (aside,) = listing.quarantined
    assert aside.path == path
    assert aside.reason.startswith(reason)


@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [
        ("split", "tset", "unknown split 'tset'; did you mean 'test'? valid: test, train"),
        ("split", "", "unknown split ''; valid: test, train"),
        ("unit", "inch", "unknown unit 'inch'; valid: cm, m, mm, sunrgbd"),
    ],
)
def test_a_value_that_is_not_known_sets_its_row_aside(
    write: Write, manifest: Write, column: str, value: str, reason: str
) -> None:
    write("a.png", "b.png")
    valid = {"split": "train", "unit": "mm"}[column]
    root = manifest(f"path,modality,label,{column}", f"a.png,depth,cup,{valid}", f"b.png,depth,cup,{value}")
    assert ids(root) == ["a.png"]
    assert reasons(root) == {"b.png": f"{reason} (manifest.csv line 3)"}


def test_a_row_that_does_not_fit_the_stated_tasks_is_set_aside(write: Write, manifest: Write) -> None:
    write("a.txt", "b.txt", "c.txt", "d.png")
    root = manifest(
        "path,modality,label,task",
        "a.txt,text,dog,pets",
        "b.txt,text,cat,",
        "c.txt,text,dog,animals",
        "d.png,image,dog,",
    )
    assert ids(root) == ["a.txt", "d.png"]
    assert reasons(root) == {
        "b.txt": "found no task; valid: one in each text row, or in none",
        "c.txt": "found class 'dog' in task 'animals' and above in 'pets'; valid: one task a class",
    }


def test_paths_as_windows_writes_them_are_read(write: Write, manifest: Write) -> None:
    write("text/dog/a.txt", "text\\dog.txt", "text/dog.txt", "b.txt")
    root = manifest(
        "path,modality,label", *(f"{name},text,dog" for name in ("text\\dog\\a.txt", "text\\dog.txt", "b.txt"))
    )
    assert ids(root) == ["text/dog/a.txt", "text\\dog.txt", "b.txt"]
    root = manifest("path,modality,label", "..\\a.txt,text,dog", "C:\\a.txt,text,dog")
    assert reasons(root) == {
        "../a.txt": "leaves the folder; valid: a path below it, without '..' (manifest.csv line 2)",
        "C:/a.txt": "can't be read (No such file or directory) (manifest.csv line 3)",
    }
