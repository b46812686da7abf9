"""The frozen network as a peer has it in its loop: a module of torch from pictures to features."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from remodal.backbones import Backbone


class Pictured(nn.Module):
    """Pictures ``[n, size, size, 3]``, uint8 -> features ``[n, width]``, as a course has them.

    used: which of the features the course keeps. They are scaled to a mean square of one.
    """

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

    def forward(self, pictures: Tensor) -> Tensor:
        """Features."""
        tokens = self.network(pictures * self.step + self.zero)
        features = self._encoder.embed(tokens[:, None], None)[:, self.used]
        scaled: Tensor = nn.functional.normalize(features) * len(self.used) ** 0.5
        return scaled


def write(backbone: Backbone, kind: str, used: Tensor, example: Tensor, file: Path) -> None:
    """Trace it; the file can be read without ``remodal``."""
    with torch.inference_mode(False), torch.no_grad():
        torch.jit.trace(Pictured(backbone, kind, used), example).save(str(file))
