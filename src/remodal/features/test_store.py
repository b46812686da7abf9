"""The store of frozen tokens: what is committed stays, whatever happens to the process that writes."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from remodal.backbones import Tokens
from remodal.errors import RemodalError
from remodal.features.entries import token_key
from remodal.features.store import FeatureStore

# Writes transactions of four entries, and says so once each is committed.
WRITER = """
import sys
from pathlib import Path
import numpy as np
from remodal.features.store import FeatureStore
with FeatureStore(Path(sys.argv[1])) as store:
    number = int(sys.argv[2])
    while True:
        store.put({f"{number}/{part}".encode(): np.full((2, 4, 500), number % 2000, np.float16) for part in range(4)})
        print(number, flush=True)
        number += 1
"""


@pytest.fixture
def store(tmp_path: Path) -> Iterator[FeatureStore]:
    with FeatureStore(tmp_path / "features") as opened:
        yield opened


def tokens(value: float, *shape: int) -> NDArray[np.float16]:
    return np.full(shape or (1, 4, 8), value, np.float16)


def test_tokens_come_back_as_they_went_in(store: FeatureStore) -> None:
    put = {b"picture": tokens(1, 1, 4, 1944), b"clip": tokens(2, 8, 4, 1944), b"sentence": tokens(3, 1, 4, 384)}
    store.put(put)
    got = store.get(put)
    assert {key: array.shape for key, array in got.items()} == {key: array.shape for key, array in put.items()}
    assert all(np.array_equal(got[key], put[key]) for key in put)


@pytest.mark.parametrize("value", [0.0, -0.0, 6e-8, 65504.0, float("inf")])
def test_every_bit_of_a_number_is_kept(store: FeatureStore, value: float) -> None:
    store.put({b"key": tokens(value)})
    assert store.get([b"key"])[b"key"].tobytes() == tokens(value).tobytes()


def test_what_is_given_back_is_the_callers_own(store: FeatureStore) -> None:
    store.put({b"key": tokens(1)})
    store.get([b"key"])[b"key"][:] = 7
    assert store.get([b"key"])[b"key"].max() == 1


def test_keys_that_are_not_stored_are_left_out(store: FeatureStore) -> None:
    store.put({b"here": tokens(1)})
    assert store.get([b"here", b"absent"]).keys() == {b"here"}
    assert store.get([]) == {}


def test_a_later_process_finds_what_was_stored(tmp_path: Path) -> None:
    with FeatureStore(tmp_path) as store:
        store.put({b"key": tokens(5)})
    with FeatureStore(tmp_path) as store:
        assert store.get([b"key"])[b"key"].max() == 5


def test_clear_forgets_everything_and_says_how_much(store: FeatureStore) -> None:
    store.put({b"a": tokens(1), b"b": tokens(2)})
    assert store.clear() == 2
    assert store.info().entries == 0
    assert store.get([b"a", b"b"]) == {}
    store.put({b"a": tokens(3)})
    assert store.get([b"a"])[b"a"].max() == 3


def test_lengths_are_known_without_reading(store: FeatureStore) -> None:
    store.put({b"clip": tokens(2, 8, 4, 16), b"picture": tokens(1, 1, 4, 16)})
    assert store.lengths([b"picture", b"absent", b"clip"]) == {b"picture": 1, b"clip": 8}


def test_stored_tokens_are_those_in_memory(store: FeatureStore) -> None:
    arrays = {bytes([at]): tokens(at, 1 + at % 3, 4, 16) for at in range(9)}
    store.put(arrays)
    stored = store.tokens("vision", list(arrays), [len(array) for array in arrays.values()])
    whole = Tokens.stack("vision", list(arrays.values()))
    odd = torch.tensor([7, 1, 4])
    for found, expected in (
        (stored, whole),
        (stored[odd], whole[odd]),
        (stored[2:8][::2], whole[2:8][::2]),
        (Tokens.concat([stored[odd], whole[:2]]), Tokens.concat([whole[odd], whole[:2]])),
    ):
        assert torch.equal(found.frames, expected.frames)
        assert torch.equal(found.lengths, expected.lengths)
        groups = zip(found.by_length(), expected.by_length(), strict=True)
        assert all(torch.equal(mine, its) for pair in groups for mine, its in zip(*pair, strict=True))


def test_stored_tokens_are_read_where_the_store_was_left(tmp_path: Path) -> None:
    with FeatureStore(tmp_path) as store:
        store.put({b"key": tokens(5)})
        kept = store.tokens("vision", [b"key"], [1])
    with FeatureStore(tmp_path) as again:  # opened once more while the tokens hold it open
        again.put({b"more": tokens(6)})
        assert kept.frames.max() == 5


def test_a_file_that_was_removed_is_made_anew_beside_what_still_reads_it(tmp_path: Path) -> None:
    with FeatureStore(tmp_path) as store:
        store.put({b"key": tokens(5)})
        kept = store.tokens("vision", [b"key"], [1])
    for file in tmp_path.glob("*.mdb"):
        file.unlink()
    with FeatureStore(tmp_path) as new:
        assert new.info().entries == 0
        assert kept.frames.max() == 5


def test_tokens_that_were_cleared_are_missed_in_one_line(store: FeatureStore) -> None:
    store.put({b"a": tokens(1), b"b": tokens(2)})
    kept = store.tokens("vision", [b"a", b"b"], [1, 1])
    store.clear()
    with pytest.raises(RemodalError, match=r"was cleared while it was in use: 2 of 2 items are gone"):
        _ = kept.frames


def test_info_counts_entries_and_bytes(store: FeatureStore) -> None:
    before = store.info().bytes
    store.put({str(number).encode(): tokens(1, 8, 4, 1944) for number in range(10)})
    assert store.info().entries == 10
    assert store.info().bytes >= before + 10 * 8 * 4 * 1944 * 2


def test_a_folder_that_cannot_be_used_is_a_users_mistake(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(RemodalError, match=r"file.* can't be opened"):
        FeatureStore(tmp_path / "file")


@given(st.tuples(st.text(), st.sampled_from(["image", "depth"]), st.sampled_from([None, "mm", "m"]), st.binary()))
def test_the_key_follows_all_that_the_tokens_depend_on(asked: tuple[str, str, str | None, bytes]) -> None:
    fingerprint, modality, unit, data = asked
    key = token_key(fingerprint, modality, unit, data)
    others = {
        token_key(fingerprint + "x", modality, unit, data),
        token_key(fingerprint, "audio", unit, data),
        token_key(fingerprint, modality, "cm", data),
        token_key(fingerprint, modality, unit, data + b"x"),
    }
    assert key == token_key(fingerprint, modality, unit, data)
    assert len(others | {key}) == 5


def test_a_writer_killed_at_any_moment_loses_nothing_it_committed(tmp_path: Path) -> None:
    moments, written = np.random.default_rng(0), 0
    for _ in range(5):
        command = [sys.executable, "-c", WRITER, str(tmp_path), str(written)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
            assert writer.stdout is not None
            writer.stdout.readline()  # its first transaction is committed
            time.sleep(moments.uniform(0, 0.1))
            writer.kill()
            said = [written, *(int(line) for line in writer.stdout.read().split())]
        committed = said[-1]
        with FeatureStore(tmp_path) as store:
            entries = store.info().entries
            found = store.get(f"{number}/{part}".encode() for number in range(entries // 4) for part in range(4))
        assert committed + 1 <= entries // 4 <= committed + 2  # killed between a commit and its message
        assert entries % 4 == 0  # a transaction is whole or absent
        assert len(found) == entries
        for key, array in found.items():
            assert np.array_equal(array, tokens(int(key.split(b"/")[0]) % 2000, 2, 4, 500))
        written = entries // 4


def test_a_reader_sees_whole_transactions_while_another_process_writes(tmp_path: Path) -> None:
    with FeatureStore(tmp_path) as store:
        command = [sys.executable, "-c", WRITER, str(tmp_path), "0"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
            assert writer.stdout is not None
            try:
                for _ in range(50):
                    number = int(writer.stdout.readline())
                    ahead = [f"{number + later}/{part}".encode() for later in range(2) for part in range(4)]
                    found = store.get(ahead)
                    assert len(found) in (4, 8)
            finally:
                writer.kill()
