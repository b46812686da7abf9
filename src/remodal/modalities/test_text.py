"""What a text file becomes, and which text files are refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remodal.errors import BadItem
from remodal.modalities import base
from remodal.modalities.text import Text

text = Text()


@given(st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1).filter(str.strip))
def test_text_is_kept_as_written(written: str) -> None:
    if not written.startswith("\ufeff"):
        assert text.decode(written.encode(), where="a.txt") == written.strip()


def test_white_space_at_the_ends_is_dropped_inside_it_stays() -> None:
    assert text.decode(b"\n Where is\n  my card? \r\n", where="a.txt") == "Where is\n  my card?"


def test_a_byte_order_mark_is_dropped() -> None:
    assert text.decode(b"\xef\xbb\xbfhello", where="a.txt") == "hello"


@pytest.mark.parametrize("data", ["café".encode("latin-1"), "café".encode("utf-16"), b"caf\xc3"])
def test_other_encodings_are_refused(data: bytes) -> None:
    with pytest.raises(BadItem, match=r"a\.txt: found bytes that are neither UTF-8 text .*; valid: UTF-8 text$"):
        text.decode(data, where="a.txt")


def test_zeros_are_no_text() -> None:
    with pytest.raises(BadItem, match="neither UTF-8 text"):
        text.decode(bytes(100), where="a.txt")


def test_white_space_alone_is_refused() -> None:
    with pytest.raises(BadItem, match="found only white space"):
        text.decode(b" \n\t", where="a.txt")


def test_a_book_is_refused() -> None:
    with pytest.raises(BadItem, match="found a text of 1,048,577 bytes; valid: at most 1,048,576"):
        text.decode(b"a" * (base.MAX_TEXT_BYTES + 1), where="a.txt")


def test_a_text_that_begins_with_a_terminals_colours_is_text() -> None:
    assert text.decode(b"\x1b[31mbark\x1b[0m at night", where="a.txt") == "\x1b[31mbark\x1b[0m at night"


def test_a_pointer_of_git_lfs_is_named() -> None:
    pointer = b"version https://git-lfs.example/spec/v1\noid sha256:0\nsize 9\n"
    with pytest.raises(BadItem, match="found a pointer of Git LFS in place of the file .git lfs pull fetches it."):
        text.decode(pointer, where="a.txt")
