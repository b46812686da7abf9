"""The optimiser against torch's own."""

from __future__ import annotations

import pytest
import torch

from remodal.training.sgd import fresh_velocities, sgd


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_it_takes_the_steps_of_torchs_sgd(momentum: float) -> None:
    draws = torch.Generator().manual_seed(0)
    start = {"a": torch.randn(3, 4, generator=draws), "b": torch.randn(5, generator=draws)}
    ours = {name: value.clone().requires_grad_() for name, value in start.items()}
    theirs = {name: value.clone().requires_grad_() for name, value in start.items()}
    velocities = fresh_velocities(ours)
    reference = torch.optim.SGD(theirs.values(), lr=0.01, momentum=momentum, weight_decay=0.1)
    for _ in range(5):
        for parameters in (ours, theirs):
            for value in parameters.values():
                value.grad = None
            ((parameters["a"] ** 2).sum() + (parameters["b"] ** 3).sum()).backward()
        sgd(ours, velocities, learning_rate=0.01, momentum=momentum, weight_decay=0.1)
        reference.step()
    for name in start:
        torch.testing.assert_close(ours[name], theirs[name])
