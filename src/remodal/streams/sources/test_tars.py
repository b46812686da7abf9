"""Tar files as WebDataset writes them."""

from __future__ import annotations

from pathlib import Path

import pytest

from remodal.errors import BadItem, RemodalError
from remodal.streams import export, lessons, stream
from remodal.streams.sources import Address
from remodal.streams.sources.conftest import WriteTar, picture, samples
from remodal.streams.sources.tars import list_webdataset

EIGHT = {f"a/{number:03d}": number % 2 for number in range(8)}


def listed(text: str) -> tuple[dict[str, str], dict[str, str]]:
    """Labels by item, and what was set aside."""
    items, quarantined = list_webdataset(Address.parsed(text), None, 0)
    return {item.id: item.label for item in items}, dict(quarantined)


def test_an_item_is_what_the_tar_holds(write_tar: WriteTar) -> None:
    tar = write_tar("a.tar", samples({"one": 3, "two": 4}))
    items = list_webdataset(Address.parsed(f"webdataset:{tar}?image=png&label=cls"), None, 0).items
    assert [(item.id, item.modality, item.label, item.read()) for item in items] == [
        ("train/0", "image", "3", picture((0, 0, 0))),
        ("train/1", "image", "4", picture((1, 0, 0))),
    ]
    assert items[0].file == tar


def test_numbers_get_their_names(write_tar: WriteTar, tmp_path: Path) -> None:
    tar = write_tar("a.tar", samples({"one": 0, "two": 1}))
    (tmp_path / "names.txt").write_text("grey_heron\nlapwing\n")
    names = tmp_path / "names.txt"
    assert listed(f"webdataset:{tar}?image=png&label=cls&names={names}")[0] == {
        "train/0": "grey heron",
        "train/1": "lapwing",
    }
    write_tar("a.tar", samples({"one": 0, "two": 2}))
    with pytest.raises(RemodalError, match=r"a.tar: column 'cls': found class 2; valid: 0 to 1, as named"):
        listed(f"webdataset:{tar}?image=png&label=cls&names={names}")


def test_a_label_may_stand_inside_of_json(write_tar: WriteTar) -> None:
    tar = write_tar("a.tar", samples({"one": 0, "two": 1}))
    assert listed(f"webdataset:{tar}?image=png&label=json.label")[0] == {"train/0": "class 0", "train/1": "class 1"}
    with pytest.raises(RemodalError, match="found nothing at 'json.lable'"):
        listed(f"webdataset:{tar}?image=png&label=json.lable")


def test_media_of_one_sample_are_never_on_both_sides_of_the_split(write_tar: WriteTar) -> None:
    tar = write_tar("a.tar", samples(EIGHT))
    address = f"webdataset:{tar}?image=png&text=txt&label=cls"
    sides: dict[str, set[str]] = {}
    for task in stream(address):
        for item in (*task.train, *task.test):
            sides.setdefault(item.group, set()).add(item.split)
    assert len(sides) == 8
    assert sorted(map(sorted, sides.values())) == [["test"], ["test"], *[["train"]] * 6]


def test_a_group_may_be_stated(write_tar: WriteTar) -> None:
    tar = write_tar("a.tar", samples(EIGHT))
    items = list_webdataset(Address.parsed(f"webdataset:{tar}?image=png&label=cls&group=json.by"), None, 0).items
    assert [item.group for item in items] == [f"painter {number // 2}" for number in range(8)]


def test_samples_without_a_group_are_each_their_own(write_tar: WriteTar) -> None:
    files = {**samples(EIGHT), "a/001.json": b"{}", "a/002.json": b'{"by": null}', "a/003.json": b'{"by": ""}'}
    tar = write_tar("a.tar", files)
    items = list_webdataset(Address.parsed(f"webdataset:{tar}?image=png&label=cls&group=json.by"), None, 0).items
    assert [item.group for item in items][:5] == ["painter 0", "", "", "", "painter 2"]


def test_files_to_measure_on_may_be_stated(write_tar: WriteTar) -> None:
    write_tar("train-0.tar", samples({"one": 0, "two": 1}))
    write_tar("train-1.tar", samples({"three": 0, "four": 1}))
    tar = write_tar("test.tar", samples({"five": 0, "six": 1}))
    (task,) = stream(f"webdataset:{tar.parent}/train-*.tar?test={tar}&image=png&label=cls")
    assert {item.id for item in task.train} == {f"train/{number}" for number in range(4)}
    assert {item.id for item in task.test} == {"test/0", "test/1"}


def test_a_sample_without_the_medium_is_no_item(write_tar: WriteTar) -> None:
    files = samples({"one": 0, "two": 1})
    del files["two.png"]
    assert listed(f"webdataset:{write_tar('a.tar', files)}?image=png&label=cls") == ({"train/0": "0"}, {})


def test_a_sample_without_a_label_is_set_aside(write_tar: WriteTar) -> None:
    files = samples({"one": 0, "two": 1})
    del files["two.cls"]
    tar = write_tar("a.tar", files)
    assert listed(f"webdataset:{tar}?image=png&label=cls") == ({"train/0": "0"}, {"train/1": "has no label"})


def test_a_tar_cut_short_after_it_was_listed_is_a_bad_item(write_tar: WriteTar) -> None:
    tar = write_tar("a.tar", samples({"one": 0}))
    (item,) = list_webdataset(Address.parsed(f"webdataset:{tar}?image=png&label=cls"), None, 0).items
    tar.write_bytes(tar.read_bytes()[:520])
    with pytest.raises(BadItem, match=r"train/0: found a.tar cut short"):
        item.read()


def test_links_and_folders_in_a_tar_are_left_out(tmp_path: Path) -> None:
    import tarfile

    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        link = tarfile.TarInfo("one.png")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
        folder = tarfile.TarInfo("two.png")
        folder.type = tarfile.DIRTYPE
        tar.addfile(folder)
    with pytest.raises(RemodalError, match="unknown column 'cls'; valid: none"):
        listed(f"webdataset:{tmp_path / 'a.tar'}?image=png&label=cls")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("image=jpg&label=cls", "unknown column 'jpg'; .* valid: cls, json, png, txt"),
        ("label=cls", "found no column of media; valid: image=COLUMN, .* its columns: png, txt, cls, json"),
        ("image=png&label=json", "column 'json': found a dict as label; valid: words or whole numbers"),
        ("image=png&label=cls&names=nowhere.txt", "names=nowhere.txt: can't be read"),
    ],
)
def test_columns_that_do_not_fit_say_what_is_there(write_tar: WriteTar, options: str, said: str) -> None:
    tar = write_tar("a.tar", samples({"one": 0, "two": 1}))
    with pytest.raises(RemodalError, match=said):
        listed(f"webdataset:{tar}?{options}")


def test_a_file_that_is_no_tar_and_a_pattern_without_files_are_said(write_tar: WriteTar, tmp_path: Path) -> None:
    packed = write_tar("a.tar", samples({"one": 0}), "w:gz")
    with pytest.raises(RemodalError, match=r"a.tar: can't be read; valid: a tar file that isn't compressed"):
        listed(f"webdataset:{packed}?image=png&label=cls")
    with pytest.raises(RemodalError, match=r"found no file .*b-\*.tar; valid: tar files"):
        listed(f"webdataset:{tmp_path}/b-*.tar?image=png&label=cls")


def test_a_label_that_is_no_number_says_where_it_lies(write_tar: WriteTar) -> None:
    files = {**samples({"one": 0}), "one.cls": b"heron"}
    with pytest.raises(RemodalError, match=r"a.tar at [\d,]+: found no cls that can be read"):
        listed(f"webdataset:{write_tar('a.tar', files)}?image=png&label=cls")


def test_what_is_listed_can_be_learned_as_lessons_and_exported(write_tar: WriteTar, tmp_path: Path) -> None:
    tar = write_tar("a.tar", samples({"one": 0, "two": 1}))
    address = f"webdataset:{tar}?image=png&label=cls"
    (task,), set_aside = lessons(address, undivided=8)
    assert (len(task.train), len(task.test), set_aside) == (2, 0, ())
    tar = write_tar("a.tar", samples(EIGHT))
    assert export(address, tmp_path / "out") == 8
    assert len(stream(tmp_path / "out").tasks) == 1
