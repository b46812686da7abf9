"""(ii) Inter-modal aggregation: a modality borrows the others' prompts, weighted by their relevance to its data.

COMM (arXiv 2503.08064): the weights come from a learned classifier over the modalities seen so far. Once that
classifier knows the current modality its softmax saturates there and nothing is left for the others, so the current
modality is masked before the softmax (design).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

TEMPERATURE = 2.0


def relevance(logits: Tensor, own: int | None, temperature: float = TEMPERATURE) -> Tensor:
    """Mean over the task's items of softmax over the *other* modalities.

    logits: ``[n, modalities]`` of the router. own: column of the current modality, or None where the router doesn't
    know it yet. Returns ``[modalities]``, which sums to 1, with 0 at ``own``; all zero where there is no other.

    >>> relevance(torch.tensor([[2.0, 9.0, 2.0]]), own=1).tolist()
    [0.5, 0.0, 0.5]
    """
    if own is not None:
        logits = logits.clone()
        logits[:, own] = -torch.inf
        if logits.shape[1] == 1:
            return torch.zeros(1)
    return (logits / temperature).softmax(dim=-1).mean(0)


def weighted_sum(prompts: Sequence[Tensor], weights: Sequence[float], like: Tensor) -> Tensor:
    """Sum of ``weights[i] * prompts[i]``, zero of the shape of ``like`` where there are none."""
    total = torch.zeros_like(like)
    for prompt, weight in zip(prompts, weights, strict=True):
        total = total + weight * prompt
    return total
