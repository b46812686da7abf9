"""What ``remodal`` chooses by itself."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from remodal.adaptation.calibration import STRENGTHS
from remodal.learning.evaluate import accuracy
from remodal.methods import remodal
from remodal.methods.remodal import Remodal, RemodalSettings
from remodal.testing import ToyBackbone, toy_stream
from remodal.training.trainer import Trainer


def learned(settings: RemodalSettings, **stream: Any) -> tuple[Remodal, float]:
    """A method that has learned ten classes of the toy stream, and its accuracy on them."""
    names = [f"kind {index}" for index in range(10)]
    (task,) = toy_stream([("image", names)], **stream).tasks
    method = Remodal(ToyBackbone(), settings, 0)
    method.learn(task.train, Trainer(0, 0))
    found = accuracy(method, task, task.columns).aware
    assert found is not None
    return method, found


def strength(method: Remodal) -> float:
    (modality,) = method.parts_["vision"].modalities
    return STRENGTHS[modality.calibration.strength]


def test_the_penalty_follows_the_data() -> None:
    """Few noisy items want a large one, many clean ones a small one."""
    free = RemodalSettings(width=64)
    clean, _ = learned(free, items=30, noise=0.1)
    noisy, right = learned(free, items=4, noise=2.0)
    assert strength(clean) < strength(noisy)
    _, underfit = learned(RemodalSettings(width=64, strength=min(STRENGTHS)), items=4, noise=2.0)
    assert right >= underfit


def test_a_penalty_that_is_stated_is_the_one() -> None:
    stated, _ = learned(RemodalSettings(width=64, strength=0.03))
    (modality,) = stated.parts_["vision"].modalities
    assert modality.calibration.losses.shape[0] == 1


def test_sums_that_are_not_of_the_penalties_that_the_settings_try_are_refused() -> None:
    free, _ = learned(RemodalSettings(width=64))
    stated = Remodal(ToyBackbone(), RemodalSettings(width=64, strength=0.03), 0)
    with pytest.raises(ValueError, match="losses of image of another shape than"):
        stated.restore(free.state())


def test_a_class_takes_from_the_classes_of_the_nearest_names_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """From all of them where there are few enough."""
    settings = RemodalSettings(width=64, balance=0.0)
    backbone = ToyBackbone()
    anchors = backbone.anchors([f"kind {index}" for index in range(10)])
    method = Remodal(backbone, settings, 0)
    nearness = settings.names * (anchors @ anchors.T).fill_diagonal_(0) + torch.eye(10)
    whole = method._mixing(torch.ones(10), anchors).to_dense()
    torch.testing.assert_close(whole, nearness)
    monkeypatch.setattr(remodal, "NEAR", 3)
    sparse = method._mixing(torch.ones(10), anchors).to_dense()
    assert (sparse != 0).sum(1).tolist() == [4] * 10
    lowest = sparse.where(sparse != 0, torch.inf).amin(1)
    torch.testing.assert_close(sparse, nearness.where(nearness >= lowest[:, None] - 1e-6, 0.0))
