"""A vision transformer of the ``transformers`` library as an encoder, with prompts in its layers.

What the last layer says of *what* is in a photograph isn't enough for drawings, depth maps, sounds and movements. So
the features are summaries of several layers (``docs/design.md`` has the measurement): of each layer's patches mean,
standard deviation, and two signed bindings with the row and the column, so that *where* survives, as in
:mod:`remodal.backbones.hypercolumn`; over the frames, :class:`~remodal.backbones.pooling.ClipPooling`. The last
layer's first token and mean stand beside them, and prompts are trained through these alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from remodal.backbones.anatomies import Anatomy, run
from remodal.backbones.encoder import Encoder, PromptTraining
from remodal.backbones.engine import Engine
from remodal.backbones.hypercolumn import TOKENS, signs
from remodal.backbones.pooling import ClipPooling
from remodal.errors import RemodalError
from remodal.modalities import get_visual

MOST_PATCHES = 64
"""A side, that are told apart."""


class TransformerVision(Encoder):
    """Reads pictures, and the pictures of video, audio and depth.

    anatomy: the model, taken apart. size: pixels a side of what it sees. mean, deviation: of red, green and blue (0 to
    1) in the pictures that it was trained on. levels: layers whose output the features are made of, counted from 1.
    text_width: ``d`` of the text space, which the model knows nothing of. prompt_from_layer: layers below belong to the
    stem: their output is stored, and they take no prompts; 0: pictures are stored. Raises RemodalError where there is
    no such layer.
    """

    name = "vision"
    keeps_features = True
    knows_names = False

    def __init__(
        self,
        anatomy: Anatomy,
        size: int,
        mean: Sequence[float],
        deviation: Sequence[float],
        levels: Sequence[int],
        text_width: int,
        prompt_from_layer: int = 0,
        engine: Engine | None = None,
    ) -> None:
        depth = len(anatomy.layers)
        if not 0 <= prompt_from_layer < depth:
            raise RemodalError(f"found prompt_from_layer = {prompt_from_layer}; valid here: 0 to {depth - 1}")
        self.engine = engine or Engine()
        self._anatomy, self._size, self._below = anatomy, size, prompt_from_layer
        self._levels, self._text_width = sorted(levels), text_width
        self._stored_levels = [level for level in self._levels if level <= prompt_from_layer]
        self.layers, self.width = depth - prompt_from_layer, anatomy.width
        head = 2 * self.width
        self._pooling = ClipPooling([self.width] * len(levels), head).to(self.engine.device)
        self.prompt_training = PromptTraining(rate=2e-2, speed=0.05, steps=300, frames=True, through=head)
        self.feature_width, self.identity_width = self._pooling.feature_width, self.width
        self._mean, self._deviation = (torch.tensor(one, device=self.engine.device) * 255 for one in (mean, deviation))
        self._signs = [signs(self.width, MOST_PATCHES, seed=seed).to(self.engine.device) for seed in (0, 1)]

    def prepare(self, modality: str, medium: Any) -> NDArray[np.uint8]:
        """Pictures, one pixel a row, ``[frames, size * size, 3]``."""
        pictures = get_visual(modality).pictures(medium, self._size)
        return pictures.reshape(len(pictures), -1, 3)

    @torch.no_grad()
    def stem(self, inputs: NDArray[np.uint8]) -> NDArray[np.uint8] | Tensor:
        """The pictures themselves; or what the stem's layers make of them, and summaries of the levels among these."""
        if not self._below:
            return inputs
        tokens = self._embedded(self.engine.here(torch.from_numpy(inputs)))
        layers = self._anatomy.layers[: self._below]
        tokens, kept = run(layers, tokens, None, self._beside(tokens), self._at(self._stored_levels))
        return torch.cat([tokens.float(), *map(self._summary, kept)], dim=1).half()

    def embed(self, tokens: Tensor, prompts: Tensor | None) -> Tensor:
        """The summaries of every level, pooled over the frames."""
        return self._pooled_levels(tokens, prompts)[0]

    def frozen(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Features without prompts and the last layer's mean patch, in one pass."""
        features, last = self._pooled_levels(tokens, None)
        return features, functional.normalize(last, dim=-1)

    def pooled(self, tokens: Tensor) -> Tensor:
        """The last layer's mean patch, its mean over the frames, L2-normalised."""
        return self.frozen(tokens)[1]

    def align(self, features: Tensor) -> Tensor:
        """Zero: a model that was not trained with text knows no names."""
        return features.new_zeros(len(features), self._text_width)

    def _pooled_levels(self, tokens: Tensor, prompts: Tensor | None) -> tuple[Tensor, Tensor]:
        """Features, and the mean over the frames of the last layer's mean patch."""
        n, frames = tokens.shape[:2]
        rows, summaries = tokens.flatten(0, 1), list[Tensor]()
        if self._below:
            stored = TOKENS * len(self._stored_levels)
            rows, low = torch.split(rows, [rows.shape[1] - stored, stored], dim=1)
            summaries += torch.split(low.float(), TOKENS, dim=1) if stored else ()
            rows = rows.to(self.engine.dtype)
        else:
            rows = self._embedded(rows)
        above = [level - self._below for level in self._levels if level > self._below]
        layers = self._anatomy.layers[self._below :]
        last, kept = run(layers, rows, prompts, self._beside(rows), self._at(above))
        normed = self._anatomy.norm(last)
        summaries += [self._summary(normed if level == self.layers else one) for level, one in zip(above, kept)]
        of_frames = torch.cat(summaries, dim=-1).view(n, frames, TOKENS, -1)
        mean_patch = normed[:, self._anatomy.special :].float().mean(1)
        head = torch.cat([normed[:, 0].float(), mean_patch], dim=-1).view(n, frames, 1, -1)
        with_head = torch.cat([of_frames, head.expand(-1, -1, TOKENS, -1)], dim=-1)
        return cast(Tensor, self._pooling(with_head)), mean_patch.view(n, frames, -1).mean(1)

    def _embedded(self, pixels: Tensor) -> Tensor:
        """``[n, size * size, 3]`` bytes -> the tokens that the first layer takes."""
        normalised = ((pixels.float() - self._mean) / self._deviation).view(-1, self._size, self._size, 3)
        return self._anatomy.embed({"pixel_values": normalised.permute(0, 3, 1, 2).to(self.engine.dtype)})

    def _beside(self, tokens: Tensor) -> dict[str, Any]:
        return self._anatomy.beside(tokens, {})

    def _summary(self, level: Tensor) -> Tensor:
        """``[n, tokens, width]`` -> ``[n, 4, width]``: the patches' mean, deviation, rows and columns."""
        patches = functional.layer_norm(level[:, self._anatomy.special :].float(), (self.width,))
        side = math.isqrt(patches.shape[1])
        grid = patches.transpose(1, 2).reshape(len(patches), self.width, side, side)
        mean = patches.mean(1)
        deviation = ((patches - mean[:, None]).square().mean(1) + 1e-6).sqrt()
        rows, columns = (
            (grid.mean(axis) * sign[:, :side]).mean(2) for axis, sign in zip((3, 2), self._signs, strict=True)
        )
        return torch.stack([mean, deviation, rows, columns], dim=1)

    @staticmethod
    def _at(levels: Sequence[int]) -> list[int]:
        """Positions of the layers after which the levels are."""
        return [level - 1 for level in levels]
