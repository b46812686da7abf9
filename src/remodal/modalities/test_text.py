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
