"""PathWeave: what a modality's adapters are woven of, and whom they leave alone."""

from __future__ import annotations

import torch
from torch.nn import functional

from remodal.methods.pathweave import Pathweave, PathweaveSettings, Woven
from remodal.testing import ToyBackbone, toy_stream
from remodal.testing.candidate import learn, scores_of

STREAM = toy_stream()  # image, audio, text, image, audio


def taught(tasks: int) -> Pathweave:
    method = Pathweave(ToyBackbone(), PathweaveSettings(steps=10, batch=8, rank=4), seed=0)
    learn(method, STREAM.tasks[:tasks])
    return method


def test_a_new_modality_borrows_from_those_that_its_tower_reads() -> None:
    parts = taught(3).parts_
    image, audio, text = parts["image"], parts["audio"], parts["text"]
    assert [len(one.borrowed_up) for one in (image, audio, text)] == [0, 1, 0]
    assert torch.equal(audio.borrowed_down[0], image.down)
    assert torch.equal(audio.borrowed_up[0], image.up)


def test_another_modalitys_task_changes_no_answer_within_a_modality() -> None:
    early, late = taught(3), taught(4)  # the fourth is image's, from which audio borrows
    tokens, own = STREAM.tasks[1].test.tokens, STREAM.tasks[1].columns
    assert not torch.equal(early.parts_["image"].up, late.parts_["image"].up)
    found, before = (scores_of(method, tokens, own).log_softmax(1) for method in (late, early))
    torch.testing.assert_close(found, before)


def test_a_modality_that_comes_again_trains_all_but_what_it_borrows() -> None:
    first, second = taught(4).parts_["audio"], taught(5).parts_["audio"]
    assert torch.equal(first.borrowed_down, second.borrowed_down)
    assert torch.equal(first.borrowed_up, second.borrowed_up)
    for name, tensor in first.trained.items():
        assert not torch.equal(tensor, second.trained[name])


def test_the_map_is_the_gated_sum_of_the_adapters() -> None:
    draws = torch.Generator().manual_seed(0)

    def drawn(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=draws)

    woven = Woven(drawn(2, 24), drawn(8, 2), drawn(2, 2, 24), drawn(2, 8, 2), drawn(2, 2, 2), drawn(3, 24))
    tower, item = ToyBackbone().tower("image"), drawn(1, 24)
    x = (item[0] - item.mean()) / item.std(correction=0)
    shares = (woven.gate @ x / 24**0.5).softmax(0)
    expected = tower.align(item)[0] + shares[2] * woven.up @ woven.down @ x
    for k in (0, 1):
        expected = expected + shares[k] * woven.borrowed_up[k] @ woven.inner[k] @ woven.borrowed_down[k] @ x
    found = woven.mapped(tower, item)[0]
    torch.testing.assert_close(found, functional.normalize(expected, dim=0), atol=1e-4, rtol=1e-4)
