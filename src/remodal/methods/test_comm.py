"""What must hold for the reconstruction of COMM."""

from __future__ import annotations

import pytest
import torch

from remodal.learning.evaluate import accuracy
from remodal.learning.metrics import mean
from remodal.learning.prepare import PreparedStream
from remodal.methods.comm import Comm, CommSettings
from remodal.methods.finetune import Finetune, FinetuneSettings
from remodal.methods.joint import Joint, JointSettings
from remodal.methods.zero_shot import ZeroShot
from remodal.settings import Settings
from remodal.streams.base import Column
from remodal.testing import ToyBackbone, toy_stream
from remodal.training.trainer import Trainer

STREAM = toy_stream()
COLUMNS = list(dict.fromkeys(column for task in STREAM.tasks for column in task.columns))
QUICK = {"realign_steps": 60, "realign_draws": 64}
THOROUGH = {"realign_steps": 300, "realign_draws": 64}


def comm(tasks: int, **settings: object) -> Comm:
    """COMM after the first ``tasks`` tasks."""
    method = Comm(ToyBackbone(), CommSettings.checked({**QUICK, **settings}), seed=0)
    for index, task in enumerate(STREAM.tasks[:tasks]):
        method.learn(task.train, Trainer(0, index))
    return method


def final(method: Comm | Joint | Finetune, stream: PreparedStream) -> float:
    for index, task in enumerate(stream.tasks):
        method.learn(task.train, Trainer(0, index))
    columns = list(dict.fromkeys(column for task in stream.tasks for column in task.columns))
    found = mean(accuracy(method, task, columns).agnostic for task in stream.tasks)
    assert found is not None
    return found


def test_before_learning_it_is_the_frozen_model() -> None:
    """Within a modality the scores are the zero-shot logits, bit for bit, but for the softmax's constant."""
    frozen = ZeroShot(ToyBackbone(), Settings(), seed=0)
    tokens = STREAM.tasks[0].test.tokens
    own = [Column("image", name) for name in ("cat", "dog", "oak")]
    prior = torch.tensor(1e-6).log()
    assert torch.equal(comm(0).scores(tokens, own), prior + frozen.scores(tokens, own).log_softmax(1))


def test_another_modalitys_task_leaves_prompts_and_adapter_as_they_are() -> None:
    method = comm(1)
    before = method.parts_["image"]
    prompts, adapter = before.expert.prompts.clone(), before.expert.adapter.clone()
    method.learn(STREAM.tasks[1].train, Trainer(0, 1))
    after = method.parts_["image"]
    assert torch.equal(after.expert.prompts, prompts)
    assert torch.equal(after.expert.adapter, adapter)


def test_within_a_modality_the_answers_survive_other_modalities_bit_for_bit() -> None:
    method = comm(1)
    tokens, own = STREAM.tasks[0].test.tokens, STREAM.tasks[0].columns
    before = method.scores(tokens, own).argmax(1)
    method.learn(STREAM.tasks[1].train, Trainer(0, 1))
    method.learn(STREAM.tasks[2].train, Trainer(0, 2))
    assert torch.equal(method.scores(tokens, own).argmax(1), before)


def test_a_modality_borrows_from_the_others_and_not_from_itself() -> None:
    method = comm(2)
    audio, image = method.parts_["audio"], method.parts_["image"]
    own, borrowed = audio.expert.prompts[0]
    assert torch.equal(own, audio.own)
    assert torch.equal(borrowed[:, 0], image.own[:, 0])  # keys
    torch.testing.assert_close(borrowed[:, 1], 0.3 * image.own[:, 1])  # values


def test_text_is_read_by_another_tower_and_borrows_nothing() -> None:
    text = comm(3).parts_["text"]
    assert torch.equal(text.expert.prompts, text.own)


def test_the_first_task_of_a_modality_is_taken_as_it_is_and_later_ones_are_merged() -> None:
    """Two of four classes are new: half of what was learned, half of what was there."""
    learned = comm(4, self_weight=0.0, realign=False)
    free = comm(4, self_regularise=False, realign=False)
    before = comm(3, realign=False).parts_["image"].own
    torch.testing.assert_close(
        learned.parts_["image"].own, 0.5 * before + 0.5 * free.parts_["image"].own, atol=1e-5, rtol=1e-4
    )


@pytest.mark.parametrize("part", ["self_regularise", "blend", "realign"])
def test_each_part_can_be_switched_off_and_makes_a_difference(part: str) -> None:
    tokens = STREAM.tasks[3].test.tokens
    whole, without = comm(5).scores(tokens, COLUMNS), comm(5, **{part: False}).scores(tokens, COLUMNS)
    assert not torch.equal(whole, without)


def test_without_blending_nothing_is_borrowed() -> None:
    audio = comm(2, blend=False).parts_["audio"]
    assert torch.equal(audio.expert.prompts, audio.own)


def test_realigning_one_class_changes_no_answer() -> None:
    stream = toy_stream((("image", ("cat",)),))
    method = Comm(ToyBackbone(), CommSettings.checked(QUICK), seed=0)
    tokens = stream.tasks[0].test.tokens
    candidates = [Column("image", name) for name in ("cat", "dog", "oak")]
    switched_off = Comm(ToyBackbone(), CommSettings.checked({**QUICK, "realign": False}), seed=0)
    for one in (method, switched_off):
        one.learn(stream.tasks[0].train, Trainer(0, 0))
    assert torch.equal(method.scores(tokens, candidates).argmax(1), switched_off.scores(tokens, candidates).argmax(1))


def test_it_finds_the_modality_and_forgets_less_than_naive_finetuning() -> None:
    toy = ToyBackbone()
    ours = final(Comm(toy, CommSettings.checked(THOROUGH), 0), STREAM)
    assert ours > 0.9
    assert ours > final(Finetune(toy, FinetuneSettings(), 0), STREAM)


@pytest.mark.parametrize("noise", [*(pytest.param(noise, marks=pytest.mark.long) for noise in (0.3, 2.5)), 1.5])
def test_joint_training_is_an_upper_bound(noise: float) -> None:
    """At least as good over seeds, but for the noise of 240 held-out items."""
    toy = ToyBackbone()
    streams = [toy_stream(seed=seed, noise=noise) for seed in range(3)]
    ours = mean(final(Comm(toy, CommSettings.checked(THOROUGH), 0), stream) for stream in streams)
    bound = mean(final(Joint(toy, JointSettings(width=64), 0), stream) for stream in streams)
    assert ours is not None
    assert bound is not None
    assert bound >= ours - 0.02
