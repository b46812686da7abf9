"""Prompts: ``[layers, 2, length, width]``, keys and values, the same shape for every backbone and method."""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from remodal.backbones import Tower


def fresh_prompts(tower: Tower, length: int, generator: Generator) -> Tensor:
    """Prompts that leave the frozen model as it is: keys ~ U(-1, 1), values 0 (DIKI, ECCV 2024)."""
    keys = torch.rand(tower.layers, length, tower.width, generator=generator) * 2 - 1
    return torch.stack([keys, torch.zeros_like(keys)], dim=1)
