"""Which items a model has learned, whatever becomes of its classes and sources."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

import remodal
from remodal.correcting import Forget, correct
from remodal.errors import RemodalError
from remodal.features.entries import KEY_BYTES
from remodal.methods.base import State
from remodal.model import Model
from remodal.saved import Items
from remodal.saved.test_hostile import refused, signed


def items(*of: tuple[int, int, int]) -> Items:
    """Items of a key of one byte over and over, a class and a source each."""
    keys = torch.tensor([[key] * KEY_BYTES for key, _, _ in of], dtype=torch.uint8)
    columns, sources = torch.tensor([own for _, *own in of], dtype=torch.int32).unbind(1)
    return Items(keys, columns, sources)


def test_they_are_as_they_were_saved() -> None:
    known = items((1, 0, 0), (2, 1, 0), (1, 1, 1))
    again = Items.from_state(known.state(), classes=2, sources=2)
    assert again.named() == [bytes([1] * KEY_BYTES), bytes([2] * KEY_BYTES), bytes([1] * KEY_BYTES)]
    assert (again.columns.tolist(), again.sources.tolist()) == ([0, 1, 1], [0, 0, 1])
    assert len(Items.from_state(Items().state(), classes=0, sources=0)) == 0


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"keys": torch.zeros(1, KEY_BYTES, dtype=torch.uint8)}, "don't fit"),
        ({"keys": torch.zeros(2, 4, dtype=torch.uint8)}, "don't fit"),
        ({"keys": torch.zeros(2, KEY_BYTES)}, "don't fit"),
        ({"columns": torch.zeros(2, 1, dtype=torch.int32)}, "don't fit"),
        ({"sources": torch.zeros(2)}, "don't fit"),
        ({"columns": torch.tensor([0, 2], dtype=torch.int32)}, "of a class or a source that the model doesn't know"),
        ({"sources": torch.tensor([-1, 0], dtype=torch.int32)}, "of a class or a source that the model doesn't know"),
    ],
)
def test_what_cannot_be_items_of_the_model_is_refused(change: dict[str, torch.Tensor], said: str) -> None:
    state = items((1, 0, 0), (2, 1, 0)).state()
    with pytest.raises(ValueError, match=said):
        Items.from_state(State({**state.tensors, **change}), classes=2, sources=1)


def test_a_saved_model_with_items_of_a_stranger_is_refused(saved: Path, lite_cache: Path) -> None:
    signed(saved, "items", b"nothing")
    assert "found a header" in refused(saved, lite_cache)


def test_sources_that_become_one_keep_their_items(folder: Path, lite_cache: Path) -> None:
    model = Model("nearest-mean", cache=lite_cache)
    for task in remodal.stream(str(folder)).tasks:
        model.learn(task, origin="the camera")
    apart, pooled = model.learned_, model.learned_.pooled("the camera")
    modality = [apart.sources[at].modality for at in apart.items.sources.tolist()]
    assert [pooled.sources[at].modality for at in pooled.items.sources.tolist()] == modality
    assert [int((pooled.items.sources == at).sum()) for at in range(len(pooled.sources))] == [
        source.items for source in pooled.sources
    ]


def test_merged_models_know_the_items_of_both(folder: Path, lite_cache: Path) -> None:
    first, *others = remodal.stream(str(folder)).tasks
    base = Model("nearest-mean", cache=lite_cache).learn(first)
    one, other = (Model("nearest-mean", cache=lite_cache).learn(first).learn(task) for task in others[:2])
    merged = one.merged(other, base)
    whole = Model("nearest-mean", cache=lite_cache).learn(first).learn(others[0]).learn(others[1])
    assert merged.learned_.items.named() == whole.learned_.items.named()
    assert merged.learned_.items.columns.equal(whole.learned_.items.columns)
    assert merged.learned_.items.sources.equal(whole.learned_.items.sources)


def test_a_model_of_before_items_were_noted_is_read(saved: Path, lite_cache: Path) -> None:
    config = json.loads((saved / "config.json").read_text())
    del config["items"], config["note"]
    (saved / "config.json").write_text(json.dumps({**config, "schema": 2}))
    model = remodal.load(saved, cache=lite_cache)
    assert len(model.learned_.items) == 0
    with pytest.raises(RemodalError, match="found 0 of .* items noted"):
        correct(saved, Forget(classes=["text:warm"]), cache=lite_cache)
