"""What ``remodal`` chooses by itself."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from remodal.adaptation.calibration import STRENGTHS
from remodal.learning.evaluate import accuracy
from remodal.methods.remodal import Remodal, RemodalSettings, mixed
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


@pytest.mark.parametrize("shape", [(3, 7), (2, 600, 7)])
def test_classes_that_are_many_share_as_few_do(shape: tuple[int, ...]) -> None:
    draws = torch.Generator().manual_seed(0)
    mixing, outputs = torch.randn(7, 7, generator=draws).relu(), torch.randn(shape, generator=draws)
    torch.testing.assert_close(mixed(outputs.clone(), mixing.to_sparse()), mixed(outputs, mixing))
