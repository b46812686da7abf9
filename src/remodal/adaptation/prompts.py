"""Prompts: ``[layers, 2, length, width]``, keys and values, the same shape for every backbone and method."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Generator, Tensor

from remodal.backbones import Tower
from remodal.training.seeding import uniform


def fresh_prompts(tower: Tower, length: int, generator: Generator) -> Tensor:
    """Prompts that leave the frozen model as it is: keys ~ U(-1, 1), values 0 (DIKI, ECCV 2024)."""
    keys = uniform(tower.layers, length, tower.width, draws=generator)
    return torch.stack([keys, torch.zeros_like(keys)], dim=1)


def beside(own: Tensor, borrowed: Sequence[Tensor], weights: Sequence[float]) -> Tensor:
    """Prompts that act beside each other, ``[1, 1 + k, layers, 2, length, width]``: one's own, and k borrowed ones.

    Each keeps its function: its own softmax over its own keys, and its values times its weight. (A sum of keys and
    values would be none of the prompts.) Without any borrowed the own are given as they are.
    """
    if not borrowed:
        return own
    weighted = [values_times(one[None], torch.tensor([weight])) for one, weight in zip(borrowed, weights, strict=True)]
    return torch.stack([own, *(one[0] for one in weighted)])[None]


def side_by_side(prompts: Tensor) -> Tensor:
    """``[n, k, layers, 2, length, width]`` -> ``[n, layers, 2, k * length, width]``: an item's k prompts as one."""
    return prompts.permute(0, 2, 3, 1, 4, 5).flatten(3, 4)


def values_times(prompts: Tensor, weight: Tensor) -> Tensor:
    """Prompts ``[n, layers, 2, length, width]`` with their values times ``weight``, ``[n]`` or ``[n, layers]``.

    Zero values change nothing, so a weight of 0 switches a prompt off.
    """
    keys, values = prompts[..., :1, :, :], prompts[..., 1:, :, :]
    shape = (*weight.shape, *(1,) * (values.dim() - weight.dim()))
    return torch.cat([keys, values * weight.view(shape)], dim=-3)
