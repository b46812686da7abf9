"""Lets Avalanche be imported beside a torch without CUDA."""

from __future__ import annotations

import torch

BOXES = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"


def declared() -> None:
    """Import torchvision, if need be with the two operators declared that its import asks for.

    The registry's torchvision has its operators in a library that wants CUDA's. Beside a torch without them it isn't
    loaded, and the import fails, though nothing that Avalanche does here calls an operator of it.
    """
    try:
        import torchvision
    except RuntimeError:
        for name in ("nms", "qnms"):
            torch.library.define(f"torchvision::{name}", BOXES)
        import torchvision  # noqa: F401
