"""Passes that are recorded and played again: what a GPU does is stood in for by a recorder that counts."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from remodal.backbones.recorded import MOST, OFTEN, Pass, Recorded


def product(tokens: Tensor, prompts: Tensor) -> Tensor:
    return tokens * prompts


class Recorder:
    """Plays like a CUDA graph: every pass of a recording writes into the same memory."""

    def __init__(self) -> None:
        self.recorded = 0
        self.played = 0

    def __call__(self, compute: Pass, sample: tuple[Tensor, Tensor]) -> Pass:
        self.recorded += 1

        def play(tokens: Tensor, prompts: Tensor) -> Tensor:
            self.played += 1
            return compute(tokens, prompts)

        return play


def one_step(recorded: Recorded, width: int) -> Tensor:
    """The gradient of a step of training."""
    prompts = torch.full((width,), 2.0, requires_grad=True)
    recorded(product, torch.arange(float(width)), prompts).sum().backward()  # type: ignore[no-untyped-call]
    assert prompts.grad is not None
    return prompts.grad


def test_a_shape_that_is_met_often_is_recorded_once_and_gives_the_same() -> None:
    recorder = Recorder()
    recorded = Recorded(recorder)
    for _ in range(OFTEN + 5):
        assert one_step(recorded, 3).tolist() == [0, 1, 2]
    assert (recorder.recorded, recorder.played) == (1, 6)


def test_until_a_pass_has_its_gradients_the_others_are_computed_as_ever() -> None:
    recorder, prompts = Recorder(), torch.ones(3, requires_grad=True)
    recorded = Recorded(recorder)
    for _ in range(OFTEN):
        one_step(recorded, 3)
    before = recorder.played
    first, second = (recorded(product, torch.full((3,), value), prompts) for value in (2.0, 5.0))
    assert recorder.played == before + 1
    (first + second).sum().backward()  # type: ignore[no-untyped-call]
    assert prompts.grad is not None
    assert prompts.grad.tolist() == [7, 7, 7]
    one_step(recorded, 3)
    assert recorder.played == before + 2


def test_few_shapes_are_kept_and_the_one_used_longest_ago_goes() -> None:
    recorder = Recorder()
    recorded = Recorded(recorder)
    for width in range(1, MOST + 2):
        for _ in range(OFTEN):
            one_step(recorded, width)
    assert recorder.recorded == MOST + 1
    one_step(recorded, MOST + 1)
    assert recorder.recorded == MOST + 1  # still there
    for _ in range(OFTEN):
        one_step(recorded, 1)
    assert recorder.recorded == MOST + 2  # gone, and recorded again


def test_what_can_not_be_recorded_is_computed_as_ever() -> None:
    def refuses(compute: Pass, sample: tuple[Tensor, Tensor]) -> Pass:
        raise RuntimeError("operation not permitted when stream is capturing")

    recorded = Recorded(refuses)
    for _ in range(OFTEN + 2):
        assert one_step(recorded, 2).tolist() == [0, 1]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")
def test_a_gpu_gives_the_same_bits_as_without() -> None:
    network = torch.nn.Sequential(torch.nn.Linear(8, 8), torch.nn.GELU()).cuda().requires_grad_(False)
    recorded, found = Recorded(), []
    for step in range(OFTEN + 3):
        tokens = torch.randn(4, 8, generator=torch.Generator().manual_seed(step)).cuda()
        gradients = []
        for call in (recorded, lambda compute, *arguments: compute(*arguments)):
            prompts = torch.ones(8, device="cuda", requires_grad=True)
            call(lambda tokens, prompts: network(tokens * prompts), tokens, prompts).square().sum().backward()
            assert prompts.grad is not None
            gradients.append(prompts.grad.clone())
        found.append(torch.equal(*gradients))
    assert all(found)
