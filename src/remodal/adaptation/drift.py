"""Drift compensation: when a task moves a modality's features, the means stored from earlier tasks move along.

SSIAT (Tan et al., "Semantically-shifted incremental adapter-tuning is a continual ViTransformer", CVPR 2024): an old
mean moves by the kernel-weighted mean of the shifts that the new task's items show near it.
"""

from __future__ import annotations

import torch
from torch import Tensor

from remodal.adaptation.rows import Rows, in_chunks


def drift(means: Tensor, before: Tensor | Rows, after: Tensor | Rows) -> Tensor:
    """Shifts ``[classes, width]`` of stored means, from features ``[n, width]`` of one set of items before and after.

    The kernel's width is the median distance of the items to a mean, so that there is no scale to choose.
    """
    distance = means.new_empty(len(means), len(before))
    for rows, own in in_chunks(before):
        distance[:, rows] = _squared_distances(means, own)
    middle = (len(before) - 1) // 2  # sorted: on a GPU torch has no median that it would find again
    scale = distance.sort(dim=1).values[:, middle, None].clamp(min=1e-12)
    weights = (-distance / scale).softmax(dim=1)
    shifts = (weights[:, rows] @ (after[rows] - own) for rows, own in in_chunks(before))
    return sum(shifts, torch.zeros_like(means))


def _squared_distances(a: Tensor, b: Tensor) -> Tensor:
    return ((a**2).sum(1)[:, None] + (b**2).sum(1) - 2 * a @ b.T).clamp(min=0)
