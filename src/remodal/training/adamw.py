"""AdamW as plain data: moments in a dictionary, so that a journal can hold them as they are.

Loshchilov & Hutter, "Decoupled weight decay regularization", ICLR 2019. The numbers of ``torch.optim.AdamW`` (a test
compares them); written out because that class loads torch's compiler, two seconds in every process that learns.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

BETAS = (0.9, 0.999)
EPSILON = 1e-8


def fresh_moments(parameters: dict[str, Tensor]) -> dict[str, Tensor]:
    """First and second moments of each parameter, zero."""
    return {f"{name}.{order}": torch.zeros_like(value) for name, value in parameters.items() for order in (1, 2)}


@torch.no_grad()
def adamw(
    parameters: dict[str, Tensor], moments: dict[str, Tensor], step: int, learning_rate: float, weight_decay: float
) -> None:
    """Move ``parameters`` by their gradients, in place; ``step`` counts from 1."""
    for name, value in parameters.items():
        if value.grad is None:
            continue
        first, second = moments[f"{name}.1"], moments[f"{name}.2"]
        first.lerp_(value.grad, 1 - BETAS[0])
        second.mul_(BETAS[1]).addcmul_(value.grad, value.grad, value=1 - BETAS[1])
        scale = second.sqrt().div_(math.sqrt(1 - BETAS[1] ** step)).add_(EPSILON)
        if weight_decay:
            value.mul_(1 - learning_rate * weight_decay)
        value.addcdiv_(first, scale, value=-learning_rate / (1 - BETAS[0] ** step))


@torch.no_grad()
def clip_gradients(parameters: dict[str, Tensor], largest: float) -> None:
    """Scale all gradients, in place, so that their common norm is at most ``largest`` (Pascanu et al., ICML 2013)."""
    gradients = [value.grad for value in parameters.values() if value.grad is not None]
    norm = torch.stack([gradient.norm() for gradient in gradients]).norm()
    for gradient in gradients:
        gradient.mul_((largest / (norm + 1e-6)).clamp(max=1.0))
