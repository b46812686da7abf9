"""The optimiser against torch's own."""

from __future__ import annotations

import torch

from remodal.training.adamw import adamw, clip_gradients, fresh_moments


def test_it_takes_the_steps_of_torchs_adamw() -> None:
    draws = torch.Generator().manual_seed(0)
    start = {"a": torch.randn(3, 4, generator=draws), "b": torch.randn(5, generator=draws)}
    ours = {name: value.clone().requires_grad_() for name, value in start.items()}
    theirs = {name: value.clone().requires_grad_() for name, value in start.items()}
    moments = fresh_moments(ours)
    reference = torch.optim.AdamW(theirs.values(), lr=0.01, weight_decay=0.1)
    for step in range(1, 6):
        for parameters in (ours, theirs):
            for value in parameters.values():
                value.grad = None
            ((parameters["a"] ** 2).sum() + (parameters["b"] ** 3).sum()).backward()
        clip_gradients(ours, 1.0)
        torch.nn.utils.clip_grad_norm_(theirs.values(), 1.0)
        adamw(ours, moments, step, learning_rate=0.01, weight_decay=0.1)
        reference.step()
    for name in start:
        torch.testing.assert_close(ours[name], theirs[name])
