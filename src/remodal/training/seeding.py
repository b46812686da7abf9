"""All randomness flows from one seed, through generators that are named for what they are for."""

from __future__ import annotations

import hashlib

import torch


def generator(seed: int, *purpose: object) -> torch.Generator:
    """A torch generator for one purpose of one run.

    >>> torch.rand(1, generator=generator(0, "router", 3)) == torch.rand(1, generator=generator(0, "router", 3))
    tensor([True])
    """
    text = "/".join(str(part) for part in (seed, *purpose))
    number = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little") >> 1
    return torch.Generator().manual_seed(number)


def normal(*shape: int, draws: torch.Generator) -> torch.Tensor:
    """Standard normal numbers: the same on every device, since they are drawn on the CPU."""
    return _moved(torch.randn(*shape, generator=draws, device="cpu"))


def uniform(*shape: int, draws: torch.Generator) -> torch.Tensor:
    """Numbers from -1 to 1: the same on every device."""
    return _moved(torch.rand(*shape, generator=draws, device="cpu") * 2 - 1)


def shuffled(count: int, draws: torch.Generator) -> torch.Tensor:
    """The numbers below ``count`` in a random order: the same on every device."""
    return _moved(torch.randperm(count, generator=draws, device="cpu"))


def _moved(drawn: torch.Tensor) -> torch.Tensor:
    """To where a method computes, see :class:`remodal.methods.Method`."""
    device = torch.get_default_device()
    return drawn.to(device, non_blocking=device.type == "cuda")
