"""Pictures and clips through a transformer, as the model's own processor prepares them.

Where the processor crops or squeezes, photographs (images, and the frames of a video) are cropped or squeezed in the
same way. Depth maps and log-mel pictures are shown whole: what stands at their edge is as much a part of them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from remodal.backbones.transformer.anatomies import Anatomy, Inputs
from remodal.backbones.transformer.layers import Transformer, Use
from remodal.errors import RemodalError
from remodal.modalities import get_visual
from remodal.modalities.base import FRAMES, squeezed

PHOTOGRAPHS = ("image", "video")
LARGEST = 2_000
"""Pixels a side."""


@dataclass(frozen=True)
class Preprocessing:
    """What a model wants its pictures to be.

    size: pixels a side of what it sees. mean, deviation: of red, green and blue (0 to 1) in the pictures that it was
    trained on. shown: pixels a side of a photograph, of which the middle is seen; None: all of it is. squeezed: whether
    a photograph is squeezed to a square, and not cut to its centre square.
    """

    size: int
    mean: Sequence[float]
    deviation: Sequence[float]
    shown: int | None = None
    squeezed: bool = False

    @classmethod
    def of(cls, processor: Any) -> Preprocessing:
        """As an image processor of ``transformers`` says; RemodalError where it doesn't resize to a square.

        One that takes pictures of any shape is given the largest square.
        """
        size, crop = processor.size, processor.crop_size if getattr(processor, "do_center_crop", None) else None
        if (patches := getattr(processor, "max_num_patches", None)) is not None:
            size = {"shortest_edge": math.isqrt(patches) * processor.patch_size}
        height, width = _sides(size)
        seen, across = _sides(crop) if crop else (height, width)
        if not (processor.do_resize and height == width and seen == across and 1 <= seen <= height <= LARGEST):
            raise RemodalError(f"found pictures resized to {height} x {width}; valid: squares of at most {LARGEST:,}")
        scale = 255 * processor.rescale_factor if processor.do_rescale else 255.0
        mean, deviation = processor.image_mean, processor.image_std
        if not processor.do_normalize:
            mean, deviation = (0.0,) * 3, (1.0,) * 3
        return cls(
            seen,
            [value / scale for value in mean],
            [value / scale for value in deviation],
            shown=height,
            squeezed=not size.get("shortest_edge"),
        )


def _sides(size: Any) -> tuple[int, int]:
    """Height and width, or the shortest edge for both, of a processor's size; 0 where it says none."""
    edge = size.get("shortest_edge") or 0
    return size.get("height") or edge, size.get("width") or edge


class TransformerVision(Transformer):
    """Reads pictures, and the pictures of video, audio and depth, frame by frame."""

    name = "vision"

    def __init__(self, anatomy: Anatomy, use: Use, preprocessing: Preprocessing) -> None:
        super().__init__(anatomy, use)
        self._preprocessing = preprocessing
        constants = preprocessing.mean, preprocessing.deviation
        self._mean, self._deviation = (torch.tensor(one, device=self.engine.device) * 255 for one in constants)

    def prepare(self, modality: str, medium: Any) -> NDArray[np.uint8]:
        """Pictures, one pixel a row, ``[frames, size * size, 3]``."""
        pictures = self._pictures(modality, medium)
        return pictures.reshape(len(pictures), -1, 3)

    def inputs(self, stored: Tensor) -> Inputs:
        """Normalised pictures ``[n, 3, size, size]``."""
        return {"pixel_values": self._normalised(stored)}

    def _pictures(self, modality: str, medium: NDArray[Any]) -> NDArray[np.uint8]:
        wanted = self._preprocessing
        size, shown = wanted.size, wanted.shown or wanted.size
        if modality not in PHOTOGRAPHS:
            return get_visual(modality).pictures(medium, size)
        if wanted.squeezed:
            photographs = squeezed(medium if medium.ndim == 4 else medium[None], shown)
        else:
            photographs = get_visual(modality).pictures(medium, shown)
        edge = (shown - size) // 2
        return photographs[:, edge : edge + size, edge : edge + size]

    def _normalised(self, pixels: Tensor) -> Tensor:
        """``[n, size * size, 3]`` bytes -> ``[n, 3, size, size]`` in the engine's dtype."""
        size = self._preprocessing.size
        normalised = ((pixels.float() - self._mean) / self._deviation).view(-1, size, size, 3)
        return normalised.permute(0, 3, 1, 2).to(self.engine.dtype)


class TransformerVideo(TransformerVision):
    """Reads clips: all frames of one at once, in order.

    At most as many frames are stored as there are in a decoded clip; a model that takes more sees some twice.

    frames: that the model takes.
    """

    name = "video"

    def __init__(self, anatomy: Anatomy, use: Use, preprocessing: Preprocessing, frames: int) -> None:
        super().__init__(anatomy, use, preprocessing)
        self._frames, self._stored = frames, min(frames, FRAMES)

    def prepare(self, modality: str, medium: Any) -> NDArray[np.uint8]:
        """One clip ``[1, frames * size * size, 3]``: its frames spread evenly, first and last included."""
        pictures = self._pictures(modality, medium)
        return pictures[_spread(len(pictures), self._stored)].reshape(1, -1, 3)

    def inputs(self, stored: Tensor) -> Inputs:
        """Normalised clips ``[n, frames, 3, size, size]``."""
        pictures = self._normalised(stored)
        clips = pictures.view(len(stored), self._stored, *pictures.shape[1:])
        return {"pixel_values": clips[:, torch.from_numpy(_spread(self._stored, self._frames))]}


def _spread(count: int, wanted: int) -> NDArray[np.int64]:
    """``wanted`` positions in ``count``, in order."""
    return np.linspace(0, count - 1, wanted).round().astype(np.int64)
