"""A task of many items is learned a chunk at a time: the same answers, in memory that doesn't grow with the task."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from remodal.backbones import CHUNK, StoredTokens, Tokens, Tower
from remodal.learning.evaluate import accuracy
from remodal.methods import methods
from remodal.methods.base import Method, TaskData
from remodal.testing import ToyBackbone, toy_stream
from remodal.testing.candidate import same
from remodal.training.trainer import Trainer

SHORT = {"steps": 40, "align_steps": 1, "realign_steps": 5, "row_steps": 5, "width": 64}
"""Settings with which learning takes a moment."""


def stored(tokens: Tokens, read: list[int]) -> StoredTokens:
    """The tokens, which write down how many items are read at a time."""

    def frames(positions: torch.Tensor) -> torch.Tensor:
        read.append(len(positions))
        return tokens[positions].frames

    return StoredTokens(tokens.tower, tokens.lengths, frames)


def taught(name: str, task: TaskData) -> Method:
    kind = methods.get(name)
    chosen = {setting: value for setting, value in SHORT.items() if setting in kind.options.model_fields}
    method = kind(ToyBackbone(), kind.options.checked(chosen), 0)
    method.learn(task, Trainer(0, 0))
    return method


@pytest.mark.parametrize("name", [name for name in methods.names() if not methods.get(name).keeps_items])
def test_no_more_than_a_chunk_of_a_task_is_read_at_once(name: str) -> None:
    """And what is learned is the same, wherever the tokens are."""
    (task,) = toy_stream([("image", ("cat", "dog", "elm"))], items=CHUNK // 2).tasks
    read: list[int] = []
    method = taught(name, replace(task.train, tokens=stored(task.train.tokens, read)))
    assert max(read, default=0) <= CHUNK < len(task.train.labels)
    assert same(method.state(), taught(name, task.train).state())


@pytest.mark.parametrize("name", ["remodal", "nearest-mean", "ridge", "ranpac", "loranpac", "fly-cl", "gda-names"])
def test_no_more_than_a_chunk_is_lifted_at_once(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []

    features = Tower.features

    def counted(tower: Tower, tokens: Tokens, prompts: torch.Tensor | None = None) -> torch.Tensor:
        sizes.append(len(tokens))
        return features(tower, tokens, prompts)

    monkeypatch.setattr(Tower, "features", counted)
    (task,) = toy_stream([("image", ("cat", "dog", "elm"))], items=CHUNK).tasks
    method = taught(name, task.train)
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
