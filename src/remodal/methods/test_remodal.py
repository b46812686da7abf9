"""What ``remodal`` chooses by itself."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from remodal.adaptation.calibration import STRENGTHS
from remodal.backbones import Engine, Tower
from remodal.learning.evaluate import accuracy
from remodal.methods.base import State
from remodal.methods.remodal import Remodal, RemodalSettings
from remodal.testing import ToyBackbone, toy_stream
from remodal.testing.elsewhere import elsewhere
from remodal.testing.toy import ToyEncoder
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


def test_a_class_of_many_items_is_not_favoured() -> None:
    """An output's mean is 0 whatever the class's size: what tells nothing of the classes is taken for each of them."""
    (task,) = toy_stream([("image", ["many", "few", "fewer"])], items=60).tasks
    kept = torch.cat([(task.train.labels == label).nonzero()[:size, 0] for label, size in enumerate((60, 12, 6))])
    uneven = replace(task.train, tokens=task.train.tokens[kept], labels=task.train.labels[kept])
    method = Remodal(ToyBackbone(), RemodalSettings(width=64, strength=0.1), 0)
    method.learn(uneven, Trainer(0, 0))
    tower = method.backbone.towers["vision"]
    (modality,) = method.parts_["vision"].modalities
    outputs = modality.outputs(uneven.tokens, [0, 1, 2], method.fitting(tower))
    assert outputs.mean(0).abs().max() < 0.05
    right = accuracy(method, task, task.columns).aware
    assert right is not None
    assert right > 0.9


def test_sums_that_are_not_of_the_penalties_that_the_settings_try_are_refused() -> None:
    free, _ = learned(RemodalSettings(width=64))
    stated = Remodal(ToyBackbone(), RemodalSettings(width=64, strength=0.03), 0)
    with pytest.raises(ValueError, match="losses of image of another shape than"):
        stated.restore(free.state())


def adapting(tasks: int, **settings: Any) -> Remodal:
    """A method that adapts, after the first tasks of image, audio, text, image and audio."""
    method = Remodal(ToyBackbone(), RemodalSettings(width=64, adapt=True, steps=6, learning_rate=0.1, **settings), 0)
    for task in toy_stream().tasks[:tasks]:
        method.learn(task.train, Trainer(0, task.train.index))
    return method


def prompts_of(method: Remodal, modality: str) -> torch.Tensor:
    listed = (one for part in method.parts_.values() for one in part.modalities)
    return next(one.prompts for one in listed if one.name == modality)


def test_prompts_are_trained_on_a_modalitys_first_task_and_stay() -> None:
    """What is learned later adds statistics under the same prompts, so that none goes stale."""
    first = prompts_of(adapting(1), "image")
    assert bool(first[:, 1].any())
    assert torch.equal(prompts_of(adapting(5), "image"), first)


def test_a_new_modality_starts_from_prompts_that_tell_its_items_apart() -> None:
    """With a step so small that it moves nothing, the prompts are where they started from."""
    still = {"learning_rate": 1e-12}
    image = prompts_of(adapting(1), "image")
    method = Remodal(ToyBackbone(), RemodalSettings(width=64, adapt=True, steps=6, learning_rate=0.1), 0)
    image_task, audio_task = toy_stream().tasks[:2]
    method.learn(image_task.train, Trainer(0, 0))
    later = Remodal(ToyBackbone(), RemodalSettings(width=64, adapt=True, steps=1, **still), 0)
    later.restore(method.state())
    later.learn(audio_task.train, Trainer(0, 1))
    torch.testing.assert_close(prompts_of(later, "audio"), image)
    alone = Remodal(ToyBackbone(), RemodalSettings(width=64, adapt=True, steps=1, borrow=False, **still), 0)
    alone.restore(method.state())
    alone.learn(audio_task.train, Trainer(0, 1))
    assert float(prompts_of(alone, "audio")[:, 1].abs().max()) < 1e-6


class Lens(ToyEncoder):
    """Of two layers; prompts are a lens before it, which sharpens what it sees, or blurs it."""

    layers = 2

    def __init__(self, blind: float, seeing: float, engine: Engine | None = None) -> None:
        super().__init__("vision", engine)
        self.blind, self.seeing = blind, seeing

    def embed(self, tokens: Tensor, prompts: Tensor | None) -> Tensor:
        """Features in noise that drowns them, or not, as the prompts' values say."""
        strength = tokens.new_zeros(()).float() if prompts is None else prompts[:, 1].abs().sum().tanh()
        noise = functional.normalize(torch.sin(tokens[:, :, 0].float().sum(1) * 1e4), dim=-1).repeat(1, 2)
        return super().embed(tokens, None) + (self.blind + (self.seeing - self.blind) * strength) * noise


def first_prompts(blind: float, seeing: float, *, items: int = 12, engine: Engine | None = None) -> Tensor:
    """Those of the first task, decided by its items."""
    backbone = ToyBackbone(engine)
    backbone.towers["vision"] = Tower(Lens(blind, seeing, engine))
    (task,) = toy_stream([("image", ["cat", "dog", "owl"])], items=items).tasks
    train = replace(task.train, labels=backbone.engine.home_of(task.train.labels))
    method = Remodal(backbone, RemodalSettings(width=64, steps=6, learning_rate=0.1), 0)
    with backbone.engine.home:
        method.learn(train, Trainer(0, 0))
    return prompts_of(method, "image")


def test_prompts_are_trained_where_that_helps_items_that_they_were_not_trained_on() -> None:
    assert first_prompts(blind=30, seeing=0).shape == (2, 2, 8, 12)


def test_the_choice_is_made_where_features_are() -> None:
    with elsewhere() as device:
        chosen = first_prompts(blind=30, seeing=0, engine=Engine(device))
    assert chosen.device == device


def test_the_frozen_model_stays_where_training_would_harm() -> None:
    assert first_prompts(blind=0, seeing=30).numel() == 0


def test_of_one_item_a_class_nothing_can_be_told() -> None:
    assert first_prompts(blind=30, seeing=0, items=1).numel() == 0


def test_a_state_of_before_modalities_had_prompts_is_of_the_frozen_model() -> None:
    frozen, _ = learned(RemodalSettings(width=64))
    state = frozen.state()
    older = State({name: value for name, value in state.tensors.items() if "prompts" not in name}, state.values)
    method = Remodal(ToyBackbone(), RemodalSettings(width=64), 0)
    method.restore(older)
    (task,) = toy_stream([("image", [f"kind {index}" for index in range(10)])]).tasks
    expected = frozen.scores(task.test.tokens, task.columns)
    assert torch.equal(method.scores(task.test.tokens, task.columns), expected)
