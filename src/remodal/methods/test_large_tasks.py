"""A task of many items is learned a chunk at a time: the same answers, in memory that doesn't grow with the task."""

from __future__ import annotations

import pytest
import torch

from remodal.backbones import CHUNK, Tokens
from remodal.learning.evaluate import accuracy
from remodal.methods import methods
from remodal.testing import ToyBackbone, ToyTower, toy_stream
from remodal.training.trainer import Trainer


@pytest.mark.parametrize("name", ["remodal", "nearest-mean", "ridge", "ranpac"])
def test_no_more_than_a_chunk_is_lifted_at_once(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []

    def counted(tower: ToyTower, tokens: Tokens, prompts: torch.Tensor | None) -> torch.Tensor:
        sizes.append(len(tokens))
        return ToyTower.features_of(tower, tokens, prompts)

    monkeypatch.setattr(ToyTower, "features_of", ToyTower._features, raising=False)
    monkeypatch.setattr(ToyTower, "_features", counted)
    (task,) = toy_stream([("image", ("cat", "dog", "elm"))], items=CHUNK).tasks
    kind = methods.get(name)
    method = kind(ToyBackbone(), kind.options.checked({} if name == "nearest-mean" else {"width": 64}), 0)
    method.learn(task.train, Trainer(0, 0))
    assert max(sizes) <= CHUNK
    found = accuracy(method, task, task.columns)
    assert found.aware is not None
    assert found.aware > 0.95


def test_a_chunk_is_spread_over_the_task_and_no_item_is_missed() -> None:
    (task,) = toy_stream([("image", ("cat", "dog", "elm"))], items=10).tasks
    chunks = [task.train.labels[rows] for rows in task.train.chunks(8)]
    assert [len(chunk) for chunk in chunks] == [8, 8, 7, 7]
    assert all(set(chunk.tolist()) == {0, 1, 2} for chunk in chunks)
    positions = torch.cat([torch.arange(30)[rows] for rows in task.train.chunks(8)])
    assert positions.sort().values.tolist() == list(range(30))
