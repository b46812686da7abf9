"""A store that several machines share: each has a cache of its own, and one place is everybody's."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from remodal.errors import RemodalError
from remodal.features.entries import features_key
from remodal.features.shared import VARIABLE, SharedStore, open_store
from remodal.features.store import FeatureStore

# Writes shards of four entries for ever, and says so once each is there.
WRITER = """
import sys
from pathlib import Path
import numpy as np
from remodal.features.shared import SharedStore
with SharedStore(Path(sys.argv[1]), sys.argv[2]) as store:
    for number in range(10_000):
        store.put({f"{number}/{part}".encode(): np.full((2, 4, 500), number % 2000, np.float16) for part in range(4)})
        print(number, flush=True)
"""


@pytest.fixture(params=["folder", "url"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where features are shared."""
    return str(tmp_path / "shared") if request.param == "folder" else f"memory://{tmp_path.name}"


def tokens(value: float) -> NDArray[np.float16]:
    return np.full((1, 4, 8), value, np.float16)


def test_what_one_machine_stores_another_reads(tmp_path: Path, place: str) -> None:
    row = np.arange(6, dtype=np.float16)
    with SharedStore(tmp_path / "one", place) as one:
        one.put({b"picture": tokens(1), b"clip": np.zeros((3, 4, 8), np.float16)}, {b"picture": (1, row)})
    with SharedStore(tmp_path / "other", place) as other:
        assert other.lengths([b"picture", b"clip", features_key(b"picture"), b"absent"]) == {
            b"picture": 1, b"clip": 3, features_key(b"picture"): 1,
        }  # fmt: skip
        np.testing.assert_array_equal(other.get([b"picture"])[b"picture"], tokens(1))
        held = other.tokens("vision", [b"clip", b"picture"], [3, 1])
        features = other.tokens("vision", [b"picture"], [1], features_alone=True).features
    assert held[torch.tensor([1])].frames.tolist() == tokens(1).tolist()  # also when the store is closed
    assert features is not None
    assert features.tolist() == [row.tolist()]


def test_what_was_read_once_lies_on_this_machine(tmp_path: Path, place: str) -> None:
    with SharedStore(tmp_path / "one", place) as one:
        one.put({b"a": tokens(1), b"b": tokens(2)})
        one.put({b"c": tokens(3)})
        with FeatureStore(tmp_path / "one") as here:
            assert here.count() == 0  # nobody has read it yet
            one.get([b"a"])
            assert sorted(here.sizes()) == [b"a", b"b"]  # with what came in one shard
        assert one.count() == 3


def test_what_came_meanwhile_is_there_after_a_look(tmp_path: Path, place: str) -> None:
    with SharedStore(tmp_path / "one", place) as one, SharedStore(tmp_path / "other", place) as other:
        one.put({b"a": tokens(1)})
        assert other.lengths([b"a"]) == {}
        other.look()
        assert other.lengths([b"a"]) == {b"a": 1}


def test_who_stores_the_same_items_again_writes_the_same_file(tmp_path: Path) -> None:
    place = tmp_path / "shared"
    for machine in ("one", "other"):
        with SharedStore(tmp_path / machine, str(place)) as store:
            store.put({b"a": tokens(1), b"b": tokens(2)} if machine == "one" else {b"b": tokens(2), b"a": tokens(1)})
        (held,) = [(file.name, file.read_bytes()) for file in place.iterdir()]
        if machine == "one":
            first = held
    assert held == first


def test_what_this_machine_alone_has_does_not_count(tmp_path: Path, place: str) -> None:
    """Others couldn't read it: so it is computed again, for all."""
    with FeatureStore(tmp_path / "one") as here:
        here.put({b"a": tokens(1)})
    with SharedStore(tmp_path / "one", place) as one:
        assert one.lengths([b"a"]) == {}


def test_a_process_that_is_killed_while_it_writes_leaves_whole_shards(tmp_path: Path) -> None:
    place = tmp_path / "shared"
    for delay in (0.0, 0.02, 0.05):
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path / "writer"), str(place)], stdout=subprocess.PIPE, text=True
        )
        assert writer.stdout is not None
        writer.stdout.readline()
        time.sleep(delay)
        writer.kill()
        said = writer.stdout.read().split()
        writer.wait()
        with SharedStore(tmp_path / f"reader {delay}", str(place)) as reader:
            keys = [f"{number}/{part}".encode() for number in map(int, ["0", *said]) for part in range(4)]
            found = reader.get(keys)
        assert sorted(found) == sorted(set(keys))
        assert all(float(array[0, 0, 0]) == int(key.split(b"/")[0]) % 2000 for key, array in found.items())


def test_a_damaged_shard_is_one_line(tmp_path: Path) -> None:
    place = tmp_path / "shared"
    place.mkdir()
    (place / "0123.parquet").write_bytes(b"no shard")
    with pytest.raises(RemodalError, match=r"shared.*: the shared features can't be used \(.*Parquet"):
        SharedStore(tmp_path / "one", str(place))


def test_a_place_that_cannot_be_reached_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(RemodalError, match=r"nowhere://bucket: the shared features can't be used \(.*nowhere"):
        SharedStore(tmp_path / "one", "nowhere://bucket")


def test_the_environment_names_the_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    with open_store(tmp_path / "one") as store:
        assert not isinstance(store, SharedStore)
    monkeypatch.setenv(VARIABLE, str(tmp_path / "shared"))
    with open_store(tmp_path / "one") as store:
        assert isinstance(store, SharedStore)
    assert not any((tmp_path / "shared").iterdir())
