"""What is remembered of a batch, and for how long."""

from __future__ import annotations

import gc

import torch

from remodal.backbones import Tokens
from remodal.backbones.remembered import Remembered


def batch() -> Tokens:
    return Tokens("vision", torch.zeros(3, 2, 4, dtype=torch.float16), torch.ones(3, dtype=torch.int64))


class Counter:
    """Counts how often it was asked to compute."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self) -> torch.Tensor:
        self.calls += 1
        return torch.zeros(3)


def test_a_batch_is_computed_once_with_the_same_thing_and_anew_with_another() -> None:
    remembered, compute, tokens = Remembered(), Counter(), batch()
    weights, others = torch.ones(4), torch.ones(4)
    with torch.inference_mode():
        first = remembered.get(tokens, weights, compute)
        assert remembered.get(tokens, weights, compute) is first
        assert compute.calls == 1
        remembered.get(tokens, others, compute)
        remembered.get(batch(), weights, compute)
    assert compute.calls == 3


def test_nothing_is_remembered_while_learning() -> None:
    remembered, compute, tokens = Remembered(), Counter(), batch()
    for _ in range(2):
        remembered.get(tokens, compute, compute)
    assert compute.calls == 2


def test_what_is_gone_is_forgotten() -> None:
    remembered, compute, tokens = Remembered(), Counter(), batch()
    weights = torch.ones(4)
    with torch.inference_mode():
        remembered.get(tokens, weights, compute)
        del weights
        gc.collect()
        assert not list(remembered._known[tokens])
        del tokens
        gc.collect()
    assert not list(remembered._known)


def test_no_more_is_remembered_than_there_is_room_for_until_something_goes() -> None:
    remembered, compute = Remembered(limit=2 * 3 * 4), Counter()  # two results of three numbers
    weights, first, second, third = torch.ones(4), batch(), batch(), batch()
    with torch.inference_mode():
        for _ in range(2):
            for tokens in (first, second, third):
                remembered.get(tokens, weights, compute)
        assert compute.calls == 4  # the third one twice
        del first, tokens
        gc.collect()
        for _ in range(2):
            remembered.get(third, weights, compute)
    assert compute.calls == 5
