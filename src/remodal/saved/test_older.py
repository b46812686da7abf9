"""Models that earlier versions saved: ``schema_1`` holds folders that schema 1 wrote, on the toy backbone."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

import remodal
from remodal.backbones import Registered, backbones
from remodal.saved import changing, forget, roll_back, versions
from remodal.saved.description import described
from remodal.settings import Settings
from remodal.testing import ToyBackbone, toy_stream
from remodal.training.trainer import Trainer

SCHEMA_1 = Path(__file__).parent / "schema_1"


@pytest.fixture(params=["remodal", "ridge"])
def old(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of schema 1: two versions of a model of that method."""
    monkeypatch.setitem(backbones._entries, "toy", Registered(Settings, lambda *_: ToyBackbone()))
    return Path(shutil.copytree(SCHEMA_1 / request.param, tmp_path / "model"))


def test_it_answers_as_it_did(old: Path, tmp_path: Path) -> None:
    model = remodal.load(old, cache=tmp_path)
    told = json.loads((old / "scores.json").read_text())
    assert set(told) == {"image", "audio", "text"}
    for modality, scores in told.items():
        found = model.method.scores(model.learned_.held_out.kept[modality].tokens, model.seen_)
        torch.testing.assert_close(found.nan_to_num(neginf=-1e9), torch.tensor(scores), atol=1e-4, rtol=1e-4)


def test_it_learns_on(old: Path, tmp_path: Path) -> None:
    model = remodal.load(old, cache=tmp_path)
    more = toy_stream([("image", ("bee", "fly"))]).tasks[0]
    model.method.learn(more.train, Trainer(0, 5))
    columns = [*model.seen_, *more.columns]
    scores = model.method.scores(more.test.tokens, columns)
    right = torch.tensor([columns.index(more.columns[at]) for at in more.test.labels])
    assert (scores.argmax(1) == right).float().mean() > 0.7
    kept = model.learned_.held_out.accuracy(model.method, model.seen_)
    assert all(measured.aware and measured.aware > 0.5 for measured in kept.values())


def test_the_next_version_stands_beside_it_and_older_ones_can_go(old: Path, tmp_path: Path) -> None:
    model = remodal.load(old, cache=tmp_path)
    model.save(old)
    assert json.loads((old / "config.json").read_text())["schema"] == 3
    assert [one.version for one in versions(old)] == [1, 2, 3]
    roll_back(old, 1)
    assert remodal.load(old, cache=tmp_path).saved_as == (old.resolve(), 1)
    roll_back(old, 3)
    with changing(old):
        assert forget(old, 1) == [1, 2]
    left = {file.relative_to(old).as_posix() for file in old.rglob("*.safetensors")}
    assert left == described(old, "config.json").files
    assert all(name.startswith("tensors/") for name in left)
    assert remodal.load(old, cache=tmp_path).saved_as == (old.resolve(), 3)
