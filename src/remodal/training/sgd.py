"""Stochastic gradient descent with momentum as plain data, like :mod:`remodal.training.adamw`.

The numbers of ``torch.optim.SGD`` (a test compares them): weight decay is part of the gradient, ``v = momentum * v +
g``, ``w = w - rate * v`` (Sutskever et al., "On the importance of initialization and momentum in deep learning", ICML
2013, without their look ahead).
"""

from __future__ import annotations

import torch
from torch import Tensor


def fresh_velocities(parameters: dict[str, Tensor]) -> dict[str, Tensor]:
    """The velocity of each parameter, zero."""
    return {f"{name}.1": torch.zeros_like(value) for name, value in parameters.items()}


@torch.no_grad()
def sgd(
    parameters: dict[str, Tensor],
    velocities: dict[str, Tensor],
    learning_rate: float,
    momentum: float,
    weight_decay: float,
) -> None:
    """Move ``parameters`` by their gradients, in place."""
    for name, value in parameters.items():
        if value.grad is None:
            continue
        velocity = velocities[f"{name}.1"]
        velocity.mul_(momentum).add_(value.grad)
        if weight_decay:
            velocity.add_(value, alpha=weight_decay)
        value.add_(velocity, alpha=-learning_rate)
