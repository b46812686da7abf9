"""What goes where the store has to be smaller, and that nobody loses what is in use."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import numpy as np
import pytest

from remodal.backbones.lite.lite import Lite
from remodal.errors import RemodalError, Stopped
from remodal.features import store as module
from remodal.features.entries import features_key
from remodal.features.extract import extract
from remodal.features.progress import Silent, Until
from remodal.features.store import READY, FeatureStore, opening
from remodal.features.test_extract import sentence
from remodal.features.trimming import PARTS, bytes_of, trimmed

WIDE, NARROW = np.ones((1, 4, 5_000), np.float16), np.ones(5_000, np.float16)
"""40 KB of tokens, and 10 KB of features."""


@pytest.fixture
def store(tmp_path: Path) -> Iterator[FeatureStore]:
    with FeatureStore(tmp_path / "features") as opened:
        yield opened


def keys(name: str, count: int = 10) -> list[bytes]:
    """Of items of one pass."""
    return [f"{number:02} {name:5}".encode() for number in range(count)]


def fill(store: FeatureStore, name: str, *, at: float, monkeypatch: pytest.MonkeyPatch, features: bool = True) -> None:
    """Ten items on both levels, or tokens alone, and a pass that uses them."""
    own = keys(name)
    store.put(dict.fromkeys(own, WIDE), dict.fromkeys(own, (1, NARROW)) if features else {})
    used(store, name, at=at, monkeypatch=monkeypatch)


def used(store: FeatureStore, name: str, *, at: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module.time, "time", lambda: at)
    store.note_use(keys(name))


def left(folder: Path, name: str) -> tuple[int, int]:
    """Items whose tokens, and whose features, are there."""
    own = keys(name)
    with FeatureStore(folder) as store:
        return len(store.lengths(own)), len(store.lengths([features_key(key) for key in own]))


def test_tokens_go_before_features_and_the_oldest_first(store: FeatureStore, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(store, "old", at=1, monkeypatch=monkeypatch)
    fill(store, "new", at=2, monkeypatch=monkeypatch)
    before, after = trimmed(store.path, 700_000)
    assert before.bytes > 1_000_000
    assert after.bytes <= 700_000
    assert (left(store.path, "old"), left(store.path, "new")) == ((0, 10), (10, 10))
    assert trimmed(store.path, 150_000)[1].bytes <= 150_000
    assert (left(store.path, "old"), left(store.path, "new")) == ((0, 0), (0, 10))


def test_what_was_used_again_is_new(store: FeatureStore, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(store, "first", at=1, monkeypatch=monkeypatch)
    fill(store, "then", at=2, monkeypatch=monkeypatch)
    used(store, "first", at=3, monkeypatch=monkeypatch)
    trimmed(store.path, 700_000)
    assert (left(store.path, "first"), left(store.path, "then")) == ((10, 10), (0, 10))


def test_tokens_without_features_are_worth_as_much_as_features(
    store: FeatureStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are all there is of their items."""
    fill(store, "alone", at=1, monkeypatch=monkeypatch, features=False)
    fill(store, "both", at=2, monkeypatch=monkeypatch)
    trimmed(store.path, 570_000)
    assert (left(store.path, "alone"), left(store.path, "both")) == ((10, 0), (0, 10))


def test_what_no_finished_pass_used_goes_first(store: FeatureStore, monkeypatch: pytest.MonkeyPatch) -> None:
    store.put(dict.fromkeys(keys("lost"), WIDE))
    fill(store, "used", at=1, monkeypatch=monkeypatch, features=False)
    trimmed(store.path, 600_000)
    assert left(store.path, "used") == (10, 0)
    assert left(store.path, "lost")[0] < 10


def test_what_stays_is_as_it_was_and_so_is_what_is_known_of_its_use(
    store: FeatureStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(store, "old", at=1, monkeypatch=monkeypatch)
    store.put({b"the only": np.arange(6, dtype=np.float16).reshape(1, 2, 3)}, {})
    store.note_use([b"the only"])
    trimmed(store.path, 200_000)
    with FeatureStore(store.path) as smaller:
        assert smaller.get([b"the only"])[b"the only"].ravel().tolist() == [0, 1, 2, 3, 4, 5]
        assert smaller.last_used() == {b"the only"[:8]: 1.0} | dict.fromkeys(keys("old"), 1.0)


def test_a_store_that_is_small_enough_stays_as_it_is(store: FeatureStore, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(store, "few", at=1, monkeypatch=monkeypatch)
    file = (store.path / "data.mdb").stat()
    before, after = trimmed(store.path, 10_000_000)
    assert before == after
    assert (store.path / "data.mdb").stat().st_ino == file.st_ino


def test_everything_can_go(store: FeatureStore, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(store, "all", at=1, monkeypatch=monkeypatch)
    _, after = trimmed(store.path, 0)
    assert after.entries == 0
    with FeatureStore(store.path) as again:
        assert again.last_used() == {}
        again.put({b"more": WIDE})
        assert again.info().tokens.entries == 1


# Holds tokens of the store, and reads them when it is told to; then it stores one more, and looks for it anew.
READER = """
import sys
from pathlib import Path
import numpy as np
from remodal.features.store import FeatureStore
keys = [f"{number:02} old  ".encode() for number in range(10)]
with FeatureStore(Path(sys.argv[1])) as store:
    tokens = store.tokens("vision", keys, [1] * 10)
    print("open", flush=True)
    sys.stdin.readline()
    assert tokens.frames.shape == (10, 4, 5_000) and tokens.frames.min() == 1
    assert tokens.features.shape == (10, 5_000)
    store.put({b"one more": np.ones((1, 1, 1), np.float16)})
    assert store.lengths([b"one more"])
"""


def test_another_process_that_uses_what_goes_loses_nothing(
    store: FeatureStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(store, "old", at=1, monkeypatch=monkeypatch)
    command = [sys.executable, "-c", READER, str(store.path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as reader:
        assert reader.stdout is not None
        assert reader.stdout.readline() == "open\n"
        trimmed(store.path, 0)
        assert left(store.path, "old") == (0, 0)
        reader.communicate("now\n")
    assert reader.returncode == 0
    with FeatureStore(store.path) as smaller:
        smaller.put({b"here": WIDE})
        assert smaller.sizes().keys() == {b"here"}


def test_this_process_loses_nothing_either(store: FeatureStore, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(store, "old", at=1, monkeypatch=monkeypatch)
    tokens = store.tokens("vision", keys("old"), [1] * 10)
    trimmed(store.path, 0)
    assert tokens.frames.min() == 1


def test_no_process_opens_a_store_whose_file_is_being_replaced(tmp_path: Path) -> None:
    opened: list[FeatureStore] = []
    waiting = Thread(target=lambda: opened.append(FeatureStore(tmp_path)))
    with opening(tmp_path):
        waiting.start()
        waiting.join(0.2)
        assert not opened
    waiting.join()
    assert opened


def test_where_there_is_no_room_for_the_copy_all_stays(store: FeatureStore, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(store, "old", at=1, monkeypatch=monkeypatch)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(FeatureStore, "copy", full)
    with pytest.raises(
        RemodalError, match=r"can't be made smaller \(.*No space left.*\); what stays needs room beside it"
    ):
        trimmed(store.path, 200_000)
    assert left(store.path, "old") == (10, 10)
    assert not list(store.path.glob(f"{PARTS}*"))


def test_what_a_killed_process_left_goes(store: FeatureStore) -> None:
    (store.path / f"{PARTS}1234").mkdir()
    (store.path / f"{PARTS}1234" / "data.mdb").write_bytes(b"half")
    trimmed(store.path, 10_000_000)
    assert not list(store.path.glob(f"{PARTS}*"))


# Makes a store smaller, and is killed instead of putting the file in place that its argument names.
KILLED = """
import os, signal, sys
from pathlib import Path
from remodal.features.trimming import trimmed
replace = Path.replace
def replaced(self, target):
    if Path(target).name == sys.argv[2]:
        os.kill(os.getpid(), signal.SIGKILL)
    return replace(self, target)
Path.replace = replaced
trimmed(Path(sys.argv[1]), 0)
"""


@pytest.mark.parametrize("at", ["data.mdb", "lock.mdb"])
def test_one_killed_while_it_put_the_smaller_store_in_place_leaves_a_whole_one(
    tmp_path: Path, at: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of data and lock never one from before and one from after: processes that read would not know of each other."""
    with FeatureStore(tmp_path) as store:
        fill(store, "old", at=1, monkeypatch=monkeypatch)
    before = {file: (tmp_path / file).stat().st_ino for file in ("data.mdb", "lock.mdb")}
    killed = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path), at], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert (tmp_path / READY / "lock.mdb").exists()
    assert left(tmp_path, "old") == (0, 0)
    assert all((tmp_path / file).stat().st_ino != number for file, number in before.items())
    assert not (tmp_path / READY).exists()


@pytest.mark.parametrize("at", ["data.mdb", "lock.mdb"])
def test_who_had_it_open_then_can_make_it_smaller_too(
    store: FeatureStore, at: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(store, "old", at=1, monkeypatch=monkeypatch)
    subprocess.run([sys.executable, "-c", KILLED, str(store.path), at], check=False)
    assert trimmed(store.path, 0)[1].entries == 0
    assert left(store.path, "old") == (0, 0)
    assert not (store.path / READY).exists()


@pytest.mark.parametrize("text", ["", "20", "GB", "-1GB", "20gigabytes", "1e3MB", "NaN GB"])
def test_a_size_that_is_none_is_a_users_mistake(text: str) -> None:
    with pytest.raises(RemodalError, match=r"size: found .*; valid: a number and one of KB, MB, GB, TB, such as 20GB"):
        bytes_of(text)


def test_every_pass_over_items_says_that_they_are_used(lite: Lite, store: FeatureStore) -> None:
    """Once for all of them, whether they were stored before or not, and also where it is broken off."""
    extract([sentence(0), sentence(1)], lite, store)
    first = store.last_used()
    extract([sentence(1), sentence(2)], lite, store)
    second = store.last_used()
    assert len(first) == 2
    assert len(second) == 3
    assert sum(second[key] > first[key] for key in first) == 1
    with pytest.raises(Stopped):
        extract([sentence(3)], lite, store, Until(Silent(), over=lambda: True))
    assert len(store.last_used()) == 4
    assert store.info().entries == 4
