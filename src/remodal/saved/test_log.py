"""The log of what a model learned and forgot: it outlives versions and names no file; a stranger's isn't believed."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import remodal
from remodal.correcting import Forget, Relabel, correct
from remodal.errors import RemodalError
from remodal.saved import changing, forget, history, roll_back
from remodal.saved.log import LOG
from remodal.updating import update


def told(model: Path) -> list[tuple[int, str]]:
    """Version and note of each entry."""
    return [(one.version, one.note) for one in history(model)]


@pytest.fixture
def busy(saved: Path, folder: Path, lite_cache: Path, tmp_path: Path) -> Path:
    """A model that learned, was corrected, forgot, and was gone back from."""
    shutil.copytree(folder / "text/warm", tmp_path / "more/text/tea")
    update(saved, tmp_path / "more", cache=lite_cache)
    correct(saved, Relabel([folder / "audio/cold/0.wav"], "hum"), cache=lite_cache)
    correct(saved, Forget(files=[folder / "image/cold/2.png"]), cache=lite_cache)
    with changing(saved):
        roll_back(saved)
    return saved


LATER = [
    (2, "learned 6 text from more; new: text:tea"),
    (3, "relabelled audio:cold as audio:hum: 0 of 42 items, 1 held out"),
    (4, "forgot 1 file: 1 of 42 items"),
    (3, "went back to version 3"),
]


def test_it_says_what_was_done_also_of_versions_that_are_gone(busy: Path) -> None:
    whole = told(busy)
    first, *others = whole
    assert first[0] == 1
    assert "from red, blue, high, low" in first[1]
    assert others == LATER
    with changing(busy):
        assert forget(busy, 1) == [1, 2]
    assert told(busy) == whole
    assert "cold/" not in (busy / LOG.name).read_text()
    assert ".png" not in (busy / LOG.name).read_text()


def test_it_goes_on_where_a_version_is_added_after_others_were_removed(
    busy: Path, folder: Path, lite_cache: Path
) -> None:
    with changing(busy):
        forget(busy, 1)
    correct(busy, Forget(classes=["text:tea"]), cache=lite_cache, keep=1)
    assert told(busy)[-2:] == [(3, "went back to version 3"), (5, "forgot text:tea: 6 of 42 items")]
    assert [version for version, _ in told(busy)] == [1, 2, 3, 4, 3, 5]


def test_the_beginning_of_an_entry_that_a_kill_left_is_written_again(busy: Path) -> None:
    whole, log = told(busy), busy / LOG.name
    with changing(busy):
        forget(busy, 1)
    lines = log.read_bytes()
    for cut in (len(lines) - 1, len(lines) - 40):
        log.write_bytes(lines[:cut])
        assert told(busy)[:-1] == whole[:-1]
        with changing(busy):
            roll_back(busy, 4)
        assert [version for version, _ in told(busy)][-2:] == [3, 4]
        assert log.read_bytes().endswith(b'went back to version 4"}\n')
        with changing(busy):
            roll_back(busy, 3)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b"no JSON\n", "damaged"),
        (b'{"time":"yesterday","version":1,"newest":1,"note":""}\n', "damaged: time: found yesterday"),
        (b'{"time":"2026-01-01T00:00:00+00:00","version":1,"newest":1,"note":"\\u001b[2J"}\n', "a control character"),
        (b'{"time":"2026-01-01T00:00:00+00:00","version":1,"newest":1,"note":"","more":1}\n', "damaged: more"),
        (b'{"note":"' + b"x" * 9_000 + b'"}\n', "found more than 8,192 bytes"),
        (b"x" * 20_000, "found more than 8,192 bytes"),
    ],
)
def test_a_log_of_a_stranger_is_named_and_not_added_to(busy: Path, line: bytes, said: str) -> None:
    (busy / LOG.name).write_bytes((busy / LOG.name).read_bytes() + line)
    before = sorted(busy.rglob("*"))
    with pytest.raises(RemodalError) as refused:
        history(busy)
    assert said in str(refused.value)
    with changing(busy), pytest.raises(RemodalError, match="damaged"):
        roll_back(busy, 1)
    with changing(busy), pytest.raises(RemodalError, match="damaged"):
        forget(busy, 1)
    assert sorted(busy.rglob("*")) == before
    (busy / LOG.name).unlink()
    assert [version for version, _ in told(busy)] == [1, 2, 3, 4, 3]


def test_no_log_outside_the_model_is_read_or_written(busy: Path, tmp_path: Path) -> None:
    (busy / LOG.name).unlink()
    (busy / LOG.name).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(RemodalError, match="found a link"):
        history(busy)
    with changing(busy), pytest.raises(RemodalError, match="found a link"):
        roll_back(busy, 1)
    assert not (tmp_path / "elsewhere").exists()


def test_a_model_that_was_never_changed_has_a_log_too(saved: Path, lite_cache: Path) -> None:
    assert not (saved / LOG.name).exists()
    assert [version for version, _ in told(saved)] == [1]
    assert remodal.load(saved, cache=lite_cache).saved_as == (saved.resolve(), 1)
