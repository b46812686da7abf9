"""The log of what arrived: which entries count, and what is made of a damaged one."""

from __future__ import annotations

from pathlib import Path

import pytest

from remodal.errors import RemodalError
from remodal.watching.log import LOG, Entry, append, entries, now


def entry(after: Entry | None, version: int | None) -> Entry:
    return Entry(time=now(), source="traps", after=after.id if after else None, version=version)


def test_an_entry_counts_when_a_version_names_it_or_a_later_one_that_counts(tmp_path: Path) -> None:
    note = entry(None, None)
    first = entry(None, 1)
    second, undone = entry(first, 2), entry(first, 3)
    of_undone = entry(undone, None)
    for one in (note, first, second, undone, of_undone):
        append(tmp_path, one)
    assert list(entries(tmp_path, second.id)) == [note, first, second]
    assert list(entries(tmp_path, undone.id)) == [note, first, undone, of_undone]
    assert list(entries(tmp_path, None)) == [note]


def test_the_beginning_of_a_line_that_a_kill_left_counts_for_nothing(tmp_path: Path) -> None:
    first = entry(None, 1)
    append(tmp_path, first)
    with (tmp_path / LOG).open("ab") as file:
        file.write(entry(first, 2).as_line()[:-1])
    assert list(entries(tmp_path, first.id)) == [first]
    third = entry(first, 3)
    append(tmp_path, third)
    assert list(entries(tmp_path, third.id)) == [first, third]


def test_an_entry_that_was_written_again_within_a_second_of_a_kill_counts_once(tmp_path: Path) -> None:
    first = entry(None, 1)
    append(tmp_path, first)
    append(tmp_path, first)
    assert list(entries(tmp_path, first.id)) == [first]


def test_a_line_that_was_altered_is_named(tmp_path: Path) -> None:
    append(tmp_path, entry(None, 1))
    append(tmp_path, entry(None, 2))
    (tmp_path / LOG).write_bytes((tmp_path / LOG).read_bytes().replace(b'"version":2', b'"version":3'))
    with pytest.raises(RemodalError, match=r"line 2: damaged: ValueError: altered since it was written"):
        list(entries(tmp_path, None))


def test_no_log_outside_the_model_is_read_or_written(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / LOG).symlink_to(tmp_path / "elsewhere")
    for use in (lambda: append(tmp_path / "model", entry(None, 1)), lambda: list(entries(tmp_path / "model", None))):
        with pytest.raises(RemodalError, match="found a link"):
            use()
    assert not (tmp_path / "elsewhere").exists()
