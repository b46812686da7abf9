"""How well features tell a task's classes apart: by items that a regression has not seen.

With it a method chooses between prompts, where all that it has are a few items of a new modality.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from remodal.adaptation.dual_ridge import DualRidge


def confusion(features: Tensor, labels: Tensor) -> Tensor:
    """Squared error ``[n]`` of each item's class, where the other items' classes are regressed on their features.

    features: ``[n, width]``. labels: int64 ``[n]``.
    """
    return DualRidge.fitted(features, functional.one_hot(labels).float()).errors


def second_half(labels: Tensor) -> Tensor:
    """Whether an item is the second, fourth, ... of its class: bool ``[n]``, of labels int64 ``[n]``.

    >>> import torch
    >>> second_half(torch.tensor([0, 1, 0, 0, 1, 2])).tolist()
    [False, False, True, False, True, False]
    """
    among_own = functional.one_hot(labels).cumsum(0).gather(1, labels[:, None])[:, 0]
    return among_own % 2 == 0
