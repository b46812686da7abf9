"""What is the name of a class, wherever one comes from."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from remodal.errors import BadItem
from remodal.streams.base import Item, Task
from remodal.streams.conftest import Write
from remodal.streams.folder import list_folder
from remodal.streams.labels import checked_label
from remodal.streams.manifest import list_manifest
from remodal.streams.places import LocalFolder

COMPOSED, DECOMPOSED = "caf\u00e9", "cafe\u0301"


@dataclass(frozen=True)
class Sentence(Item):
    """An item made in Python."""

    def read(self) -> bytes:
        """Always the same."""
        return b"a sentence"


def made(label: str) -> Sentence:
    return Sentence("a", "text", label, "train", "", "")


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("  guide \t\n dog ", "guide dog"),
        (DECOMPOSED, COMPOSED),
        ("犬", "犬"),
        ("x" * 200, "x" * 200),
        ("e\u0301" * 200, "\u00e9" * 200),
        ("می\u200cخواهم", "می\u200cخواهم"),  # a joiner that Persian is written with
    ],
)
def test_a_label_is_kept_in_one_form(given: str, kept: str) -> None:
    assert checked_label(given, "a") == kept
    assert checked_label(kept, "a") == kept


@pytest.mark.parametrize(
    ("label", "shown"),
    [
        ("\x1b[2Jdog", r"\u001b"),
        ("dog\x9b31m", r"\u009b"),
        ("dog\x00", r"\u0000"),
        ("\u202egod", r"\u202e"),
        ("do\u200bg", r"\u200b"),
        ("\udce9", r"\udce9"),
        ("dog\U000e0041", r"\udb40\udc41"),
    ],
)
def test_what_nobody_sees_is_refused_and_shown(label: str, shown: str) -> None:
    with pytest.raises(BadItem, match="found a label with the character") as caught:
        checked_label(label, "a.png")
    assert shown in str(caught.value)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("label", ["x" * 201, "x" * 100_000, "e\u0301\u0316" * 100_000], ids=["201", "many", "accents"])
def test_a_long_label_is_refused_at_once(label: str) -> None:
    with pytest.raises(BadItem, match="valid: at most 200") as caught:
        checked_label(label, "a.png")
    assert len(str(caught.value)) < 200


def test_a_blank_one_is_refused() -> None:
    with pytest.raises(BadItem, match="a.png: found a blank label; valid: the name of a class"):
        checked_label(" \n", "a.png")


def test_items_and_tasks_made_in_python_are_checked() -> None:
    assert made(DECOMPOSED).label == COMPOSED
    assert Task(0, "text", (DECOMPOSED, COMPOSED, "tea "), (made(DECOMPOSED),), ()).classes == (COMPOSED, "tea")
    with pytest.raises(BadItem, match="a: found a label with"):
        made("\x1b[2J")
    with pytest.raises(BadItem, match="task 3: found a blank label"):
        Task(3, "text", (" ",), (), ())


def test_folders_that_differ_by_unicodes_form_are_one_class(write: Write) -> None:
    root = write(f"text/{COMPOSED}/a.txt", f"text/{DECOMPOSED}/b.txt")
    items = list_folder(LocalFolder(root)).items
    assert {item.label for item in items} == {COMPOSED}
    assert all(item.read() for item in items)


def test_a_folder_with_a_bad_name_is_left_out_and_the_others_stay(write: Write) -> None:
    root = write("text/dog/a.txt", "text/\x1b[2Jcat/b.txt", f"text/{'long' * 51}/c.txt")
    listing = list_folder(LocalFolder(root))
    assert [item.id for item in listing.items] == ["text/dog/a.txt"]
    long, control = sorted(one.reason for one in listing.quarantined)
    assert long.startswith("found a label of 204 letters, 'longlong")
    assert control == r"found a label with the character \u001b: '\u001b[2Jcat'; valid: visible letters"


def test_so_is_a_row_of_a_manifest(write: Write, manifest: Write) -> None:
    write("a.txt", "b.txt", "c.txt")
    root = manifest("path,modality,label", f"a.txt,text,{COMPOSED}", f"b.txt,text,{DECOMPOSED}", "c.txt,text,\x9bm")
    listing = list_manifest(LocalFolder(root))
    assert {item.label for item in listing.items} == {COMPOSED}
    ((path, reason),) = listing.quarantined
    assert (path, reason.isprintable()) == ("c.txt", True)
