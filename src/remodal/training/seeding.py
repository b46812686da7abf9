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
