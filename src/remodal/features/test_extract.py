"""The stem pass: every item once, the same bits in any company, bad items set aside."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray
from PIL import Image

from remodal.backbones import Tower
from remodal.backbones.lite.lite import Lite
from remodal.errors import BadItem, Stopped
from remodal.features.extract import HANDFUL, Extracted, extract
from remodal.features.progress import Counter, Silent, Until
from remodal.features.store import FeatureStore


@dataclass(frozen=True)
class Given:
    """An encoded medium in memory."""

    id: str
    read_as: str
    data: bytes
    unit: str | None = None

    def read(self) -> bytes:
        if self.data == b"gone":
            raise BadItem(self.id, "can't be read (no such file)")
        return self.data


def picture(number: int) -> Given:
    pixels = np.random.default_rng(number).integers(0, 256, (96, 80, 3), dtype=np.uint8)
    return Given(f"picture {number}", "image", png(pixels))


def sound(number: int) -> Given:
    wave = np.random.default_rng(number).normal(0, 0.1, 8_000 + 20_000 * (number % 3))  # one to three pictures
    file = BytesIO()
    soundfile.write(file, wave, 16_000, format="FLAC")
    return Given(f"sound {number}", "audio", file.getvalue())


def depth_map(number: int) -> Given:
    metres = np.random.default_rng(number).uniform(0.5, 5, (60, 60))
    return Given(f"depth {number}", "depth", png((metres * 1000).astype(np.uint16)), unit="mm")


def sentence(number: int) -> Given:
    return Given(f"sentence {number}", "text", f"sentence {'number ' * number} {number}".encode())


def png(pixels: NDArray[Any]) -> bytes:
    file = BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


ITEMS = [make(number) for number in range(HANDFUL["cpu"] + 3) for make in (picture, sound, depth_map, sentence)]


class Counted:
    """A backbone whose towers count the frames that go through their stems."""

    def __init__(self, backbone: Lite, monkeypatch: pytest.MonkeyPatch) -> None:
        self.frames = 0
        for tower in backbone.towers.values():
            self._count(tower, monkeypatch)

    def _count(self, tower: Tower, monkeypatch: pytest.MonkeyPatch) -> None:
        stem = tower.encoder.stem

        def counting(inputs: NDArray[Any]) -> NDArray[np.float16]:
            self.frames += len(inputs)
            return stem(inputs)

        monkeypatch.setattr(tower.encoder, "stem", counting)


class Shown:
    """Progress that adds up what it is told."""

    def __init__(self) -> None:
        self.totals: dict[str, int] = {}
        self.done: dict[str, int] = {}

    def work(self, name: str, total: int) -> AbstractContextManager[Counter]:
        self.totals[name], self.done[name] = total, 0

        def count(steps: int = 1) -> None:
            self.done[name] += steps

        return nullcontext(count)

    def note(self, line: str) -> None:
        raise AssertionError(line)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[FeatureStore]:
    with FeatureStore(tmp_path / "features") as opened:
        yield opened


ById = dict[str, NDArray[np.float16]]


@pytest.fixture(scope="module")
def together(lite: Lite, tmp_path_factory: pytest.TempPathFactory) -> ById:
    """The tokens of all items, computed in one pass."""
    with FeatureStore(tmp_path_factory.mktemp("together")) as store:
        return stored(extract(ITEMS, lite, store), store)


def stored(found: Extracted, store: FeatureStore) -> ById:
    tokens = store.get(found.keys.values())
    assert found.lengths == {id: len(tokens[key]) for id, key in found.keys.items()}
    return {id: tokens[key] for id, key in found.keys.items()}


def same(found: ById, expected: ById) -> bool:
    return all(tokens.tobytes() == expected[id].tobytes() for id, tokens in found.items())


def test_every_item_gets_the_tokens_of_its_frames(together: ById) -> None:
    shapes = {id: tokens.shape for id, tokens in together.items()}
    assert shapes.keys() == {item.id for item in ITEMS}
    assert shapes["picture 0"] == shapes["depth 0"] == (1, 4, 1944)
    assert [shapes[f"sound {number}"][0] for number in range(3)] == [1, 2, 3]
    assert shapes["sentence 0"] == (1, 4, 384)
    assert {tokens.dtype for tokens in together.values()} == {np.dtype(np.float16)}


@pytest.mark.parametrize("seed", [0, 1])
def test_tokens_are_the_same_bits_whichever_items_are_computed_together(
    lite: Lite, store: FeatureStore, together: ById, seed: int
) -> None:
    some = [ITEMS[position] for position in np.random.default_rng(seed).permutation(len(ITEMS))[:29]]
    first, rest = some[:5], some
    assert same(stored(extract(first, lite, store), store), together)
    assert same(stored(extract(rest, lite, store), store), together)  # five of them are in the store by now


def test_an_item_alone_gets_the_same_bits(lite: Lite, store: FeatureStore, together: ById) -> None:
    for item in (picture(0), sound(2), depth_map(0), sentence(5)):
        assert same(stored(extract([item], lite, store), store), together)


def test_a_second_pass_computes_nothing(
    lite: Lite, store: FeatureStore, together: ById, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted = Counted(lite, monkeypatch)
    extract(ITEMS, lite, store)
    assert counted.frames == sum(len(tokens) for tokens in together.values())
    counted.frames = 0
    again = extract(ITEMS, lite, store)
    assert counted.frames == 0
    assert again.keys.keys() == together.keys()
    assert same(stored(again, store), together)


def test_only_what_the_store_lacks_is_computed(
    lite: Lite, store: FeatureStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    extract([picture(0), picture(1)], lite, store)
    counted = Counted(lite, monkeypatch)
    extract([picture(1), picture(2), picture(0)], lite, store)
    assert counted.frames == 1


def test_what_was_computed_before_the_time_was_over_is_kept(
    lite: Lite, store: FeatureStore, together: ById, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(Stopped):
        extract(ITEMS, lite, store, Until(Silent(), over=lambda: True))
    assert 0 < store.info().entries < len(ITEMS)
    counted = Counted(lite, monkeypatch)
    assert same(stored(extract(ITEMS, lite, store), store), together)
    assert counted.frames < sum(len(tokens) for tokens in together.values())


def test_the_same_content_under_another_name_is_not_computed_again(
    lite: Lite, store: FeatureStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    extract([picture(0)], lite, store)
    counted = Counted(lite, monkeypatch)
    renamed = Given("another name", "image", picture(0).data)
    assert "another name" in extract([renamed], lite, store).keys
    assert counted.frames == 0


def test_depth_in_another_unit_is_another_content(lite: Lite, store: FeatureStore) -> None:
    data = depth_map(0).data
    items = [Given("in millimetres", "depth", data, "mm"), Given("in centimetres", "depth", data, "cm")]
    tokens = stored(extract(items, lite, store), store)
    assert not np.array_equal(tokens["in millimetres"], tokens["in centimetres"])


def test_bad_items_are_set_aside_with_their_reasons_and_the_rest_goes_on(
    lite: Lite, store: FeatureStore, together: ById
) -> None:
    bad = [
        Given("c cut", "image", picture(0).data[:200]),
        Given("a gone", "audio", b"gone"),
        Given("b empty", "text", b""),
        Given("d picture", "depth", picture(0).data),
    ]
    found = extract([*ITEMS[:8], *bad, *ITEMS[8:16]], lite, store)
    reasons = dict(found.rejected)
    assert [rejected.id for rejected in found.rejected] == ["a gone", "b empty", "c cut", "d picture"]
    assert reasons["a gone"] == "can't be read (no such file)"
    assert "empty file" in reasons["b empty"]
    assert "PNG that can't be decoded" in reasons["c cut"]
    assert "colour" in reasons["d picture"]
    assert found.keys.keys() == {item.id for item in ITEMS[:16]}
    assert same(stored(found, store), together)
    assert store.info().entries == 16


def test_what_cannot_be_decoded_is_tried_again_the_next_time(lite: Lite, store: FeatureStore) -> None:
    cut = Given("cut", "image", picture(0).data[:200])
    assert extract([cut], lite, store).rejected == extract([cut], lite, store).rejected != []


def test_no_items_no_work(lite: Lite, store: FeatureStore) -> None:
    assert extract([], lite, store) == Extracted()


def test_progress_is_told_of_every_item_good_or_bad(lite: Lite, store: FeatureStore) -> None:
    shown = Shown()
    extract([picture(0), Given("empty", "image", b""), sentence(0)], lite, store, shown)
    assert shown.done == shown.totals
    assert sum(shown.done.values()) == 3


def test_seconds_add_up_to_no_more_than_what_passed(lite: Lite, store: FeatureStore) -> None:
    started = time.perf_counter()
    seconds = extract(ITEMS, lite, store).seconds
    passed = time.perf_counter() - started
    assert seconds["decode"] > 0
    assert seconds["stem"] > 0
    assert sum(seconds.values()) <= passed
