"""A transformer of the ``transformers`` library as an encoder, with prompts in its layers.

What the last layer says of *what* is in a photograph isn't enough for drawings, depth maps, sounds and movements. So
the features are summaries of several layers (``docs/design.md`` has the measurement): of each layer's patches mean,
standard deviation, and two signed bindings with the row and the column, so that *where* survives, as in
:mod:`remodal.backbones.hypercolumn`; over the frames, :class:`~remodal.backbones.pooling.ClipPooling`. What the model
itself makes of its last layer stands beside them, at the end, and prompts are trained through this alone.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from remodal.backbones.encoder import Encoder, PromptTraining
from remodal.backbones.engine import Engine
from remodal.backbones.hypercolumn import TOKENS, signs
from remodal.backbones.pooling import ClipPooling
from remodal.backbones.transformer.anatomies import Anatomy, Inputs, run
from remodal.errors import RemodalError

MOST_PATCHES = 64
"""A side, that are told apart."""
OF_A_PICTURE = 256
"""Patches, about."""


@dataclass(frozen=True)
class Use:
    """What a backbone makes of a model.

    levels: layers whose output the features are made of, counted from 1. text_width: ``d`` of the text space. aligned:
    whether the model's own vector lies in it; otherwise nothing is known of names. prompt_from_layer: layers below
    belong to the stem: their output is stored, and they take no prompts; 0: what the model is given is stored.
    """

    levels: Sequence[int]
    text_width: int
    prompt_from_layer: int = 0
    engine: Engine = field(default_factory=Engine)
    aligned: bool = False


class Transformer(Encoder):
    """What encoders of pictures, clips and sounds share; a subclass says what is stored, and what the model is given.

    anatomy: the model, taken apart. Raises RemodalError where the model lacks the first layer of prompts.
    """

    name = "vision"
    keeps_features = True
    recordable = True

    def __init__(self, anatomy: Anatomy, use: Use) -> None:
        depth = len(anatomy.layers)
        if not 0 <= use.prompt_from_layer < depth:
            valid = f"valid for the {self.name} model: 0 to {depth - 1}"
            raise RemodalError(f"setting backbone.prompt_from_layer: found {use.prompt_from_layer}; {valid}")
        self.engine, self.knows_names = use.engine, use.aligned
        self._anatomy, self._below = anatomy, use.prompt_from_layer
        self._levels, self._text_width = sorted(use.levels), use.text_width
        self._stored_levels = [level for level in self._levels if level <= self._below]
        self._stem_computes = anatomy.whole or self._below > 0
        self._times = 1 if anatomy.grid is None else anatomy.grid[0]
        self.cost = 1 if anatomy.grid is None else cost_of(math.prod(anatomy.grid))
        self.layers, self.width = depth - self._below, anatomy.width
        self._with_mean = not use.aligned and anatomy.special > 0
        head = (anatomy.summary_width or self.width) + self._with_mean * self.width
        self._pooling = ClipPooling([self.width] * len(self._levels), head).to(self.engine.device)
        self.prompt_training = PromptTraining(rate=2e-2, speed=0.05, steps=100, frames=True, through=head)
        if anatomy.whole:
            self.prompt_training = PromptTraining(through=head)
        self.own = slice(-head, None)
        self.feature_width = self._pooling.feature_width
        self.identity_width = use.text_width if use.aligned else self.width
        self._signs = [signs(self.width, MOST_PATCHES, seed=seed).to(self.engine.device) for seed in (0, 1)]

    @abstractmethod
    def inputs(self, stored: Tensor) -> Inputs:
        """What the model is given, of ``[n, ...]`` frames as :meth:`prepare` gives them, on the device."""

    @torch.no_grad()
    def stem(self, inputs: NDArray[np.uint8]) -> NDArray[np.uint8] | Tensor:
        """What was prepared; or what the stem's layers make of it, and summaries of the levels among these."""
        if not self._stem_computes:
            return inputs
        tokens = self._embedded(self.engine.here(torch.from_numpy(inputs)))
        layers = self._anatomy.layers[: self._below]
        tokens, kept = run(layers, tokens, None, self._beside(tokens), self._at(self._stored_levels))
        low = [self._summary(level).view(len(tokens), -1, self.width) for level in kept]
        return torch.cat([tokens.float(), *low], dim=1).half()

    def embed(self, tokens: Tensor, prompts: Tensor | None) -> Tensor:
        """The summaries of every level, pooled over the frames."""
        return self._pooled_levels(tokens, prompts)[0]

    def frozen(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Features without prompts and what a router may see, in one pass."""
        features, seen = self._pooled_levels(tokens, None)
        return features, functional.normalize(seen, dim=-1)

    def pooled(self, tokens: Tensor) -> Tensor:
        """The last layer's mean patch, or the vector of a model that is aligned, over the frames; L2-normalised."""
        return self.frozen(tokens)[1]

    def align(self, features: Tensor) -> Tensor:
        """The model's own vector; zero where it was not trained with this text space, and knows no names."""
        if self.knows_names:
            return features[:, self.own]
        return features.new_zeros(len(features), self._text_width)

    def _pooled_levels(self, tokens: Tensor, prompts: Tensor | None) -> tuple[Tensor, Tensor]:
        """Features, and the mean over the frames of what a router may see."""
        n, frames = tokens.shape[:2]
        rows, summaries = tokens.flatten(0, 1), list[Tensor]()
        if self._stem_computes:
            stored = TOKENS * self._times * len(self._stored_levels)
            rows, low = torch.split(rows, [rows.shape[1] - stored, stored], dim=1)
            by_level = low.float().view(len(low), len(self._stored_levels), TOKENS * self._times, self.width)
            summaries += [level.reshape(-1, TOKENS, self.width) for level in by_level.unbind(1)]
            rows = rows.to(self.engine.dtype)
        else:
            rows = self._embedded(rows)
        above = [level - self._below for level in self._levels if level > self._below]
        layers = self._anatomy.layers[self._below :]
        last, kept = run(layers, rows, prompts, self._beside(rows), self._at(above))
        normed = self._anatomy.norm(last)
        summaries += [self._summary(normed if level == self.layers else one) for level, one in zip(above, kept)]
        of_times = torch.cat(summaries, dim=-1).view(n, frames * self._times, TOKENS, -1)
        head, seen = self._head(normed)
        head = head.repeat_interleave(self._times, 0).view(n, frames * self._times, 1, -1)
        with_head = torch.cat([of_times, head.expand(-1, -1, TOKENS, -1)], dim=-1)
        return cast(Tensor, self._pooling(with_head)), seen.view(n, frames, -1).mean(1)

    def _head(self, normed: Tensor) -> tuple[Tensor, Tensor]:
        """What the model makes of its last layer, and what a router may see, of each frame."""
        own = self._anatomy.summary(normed, {}).float()
        if self.knows_names:
            return own, own
        mean_patch = normed[:, self._anatomy.special :].float().mean(1)
        return torch.cat([own, mean_patch], dim=-1) if self._with_mean else own, mean_patch

    def _embedded(self, stored: Tensor) -> Tensor:
        """Frames as they were prepared -> the tokens that the first layer takes."""
        return self._anatomy.embed(self.inputs(stored))

    def _beside(self, tokens: Tensor) -> dict[str, Any]:
        return self._anatomy.beside(tokens, {})

    def _summary(self, level: Tensor) -> Tensor:
        """``[n, tokens, width]`` -> ``[n * times, 4, width]``: the patches' mean, deviation, rows and columns."""
        patches = functional.layer_norm(level[:, self._anatomy.special :].float(), (self.width,))
        times, *sides = self._anatomy.places(patches.shape[1])
        patches = patches.reshape(len(patches) * times, -1, self.width)
        grid = patches.transpose(1, 2).reshape(len(patches), self.width, *sides)
        mean = patches.mean(1)
        deviation = ((patches - mean[:, None]).square().mean(1) + 1e-6).sqrt()
        rows, columns = (
            (grid.mean(axis) * _codes(sign, count)).mean(2)
            for axis, sign, count in zip((3, 2), self._signs, sides, strict=True)
        )
        return torch.stack([mean, deviation, rows, columns], dim=1)

    @staticmethod
    def _at(levels: Sequence[int]) -> list[int]:
        """Positions of the layers after which the levels are."""
        return [level - 1 for level in levels]


def cost_of(patches: int) -> int:
    """What so many patches cost, in pictures.

    >>> cost_of(196), cost_of(499)
    (1, 2)
    """
    return max(1, round(patches / OF_A_PICTURE))


def _codes(sign: Tensor, count: int) -> Tensor:
    """One code each ``[width, count]``; where there are more places than codes, neighbours share one."""
    if count <= MOST_PATCHES:
        return sign[:, :count]
    return sign[:, torch.linspace(0, MOST_PATCHES - 1, count, device=sign.device).round().long()]
