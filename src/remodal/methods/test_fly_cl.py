"""Fly-CL: how sparse it is, and which penalty cross-validation takes."""

from __future__ import annotations

import pytest
import torch

from remodal.methods import methods
from remodal.methods.fly_cl import PENALTIES, FlyCl, cross_validated
from remodal.testing import Candidate, ToyBackbone
from remodal.training.seeding import generator, normal

INPUTS = 5


@pytest.fixture
def method(monkeypatch: pytest.MonkeyPatch) -> FlyCl:
    monkeypatch.setattr("remodal.methods.fly_cl.INPUTS", INPUTS)
    made = Candidate.of(methods.get("fly-cl")).new()
    assert isinstance(made, FlyCl)
    return made


def test_a_random_feature_sums_up_a_few_features(method: FlyCl) -> None:
    drawn = method.drawn(ToyBackbone().towers["vision"], 64, generator(0, "here"))
    assert ((drawn != 0).sum(0) == INPUTS).all()
    assert len({tuple(column.tolist()) for column in (drawn != 0).T}) > 60


def test_an_item_keeps_its_largest_random_features(method: FlyCl) -> None:
    projected = torch.tensor([[3.0, -1, 4, 1, -5, 9, 2, 6, 5, 0], [-1.0, -2, -3, -4, -5, -6, -7, -8, -9, -10]])
    found = method.activated(projected)
    assert found[0].tolist() == [0, 0, 0, 0, 0, 9, 0, 6, 5, 0]
    assert found[1].tolist() == [-1, -2, -3, 0, 0, 0, 0, 0, 0, 0]


@pytest.mark.parametrize("noise", [0.1, 10.0])
def test_the_penalty_is_the_one_that_cross_validates_best(noise: float) -> None:
    """With the matrix that maps targets to outputs written out; where there is much noise, not the least."""
    rows = normal(30, 8, draws=generator(0, "rows"))
    targets = (rows[:, :2] + noise * normal(30, 2, draws=generator(0, "noise"))).double()
    errors, square = {}, float(rows.square().sum(1).mean())
    for penalty in PENALTIES:
        wide = rows.double()
        outputs = wide @ torch.linalg.inv(wide.T @ wide + penalty * square * torch.eye(8).double()) @ wide.T
        residual = (targets - outputs @ targets).square().sum() / 30
        errors[penalty] = float(residual / (1 - outputs.trace() / 30) ** 2)
    best = min(errors, key=lambda penalty: errors[penalty])
    assert cross_validated(rows, targets) == pytest.approx(best * square)
    assert (best == PENALTIES[0]) == (noise < 1)
