"""(i) Intra-modal aggregation: what a new task changes in its own modality is held back and merged.

COMM (Jin & Kim, arXiv 2503.08064) states the idea, self-regularised aggregation within a modality; the formulas are
ours, since the paper's body isn't public to us.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

LEAST_RATE = 0.3


def self_regularisation(embedded: Tensor, before: Tensor) -> Tensor:
    """Mean of 1 - cos between embeddings ``[n, d]`` under the new and under the old prompts."""
    return (1 - functional.cosine_similarity(embedded, before, dim=-1)).mean()


def merge_rate(new_classes: int, seen_classes: int) -> float:
    """Weight of what was just learned: the task's share of the classes, at least ``LEAST_RATE``.

    >>> merge_rate(4, 4), merge_rate(4, 8), merge_rate(4, 40)
    (1.0, 0.5, 0.3)
    """
    return max(LEAST_RATE, new_classes / seen_classes)


def merge(before: Tensor, learned: Tensor, rate: float) -> Tensor:
    """``(1 - rate) * before + rate * learned``."""
    return (1 - rate) * before + rate * learned
