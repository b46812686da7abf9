"""What a model says of one item, as a module that can be traced."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy

import torch
from torch import Tensor, nn

from remodal.backbones import Encoder, Tokens, Tower
from remodal.backbones.tower import Computed
from remodal.backbones.view import View
from remodal.methods.base import Method
from remodal.streams.base import Column


class _OneItem(Tower):
    """A tower that takes one item's frames as they come, so that a trace holds for any number of them."""

    def _of_frames(self, tokens: Tokens, width: int, compute: Computed, prompts: Tensor | None = None) -> Tensor:
        return compute(tokens.frames[None], prompts).float()


class Answering(nn.Module):
    """Tokens of one item ``[frames, ..., width]`` -> the probability of each class ``[classes]``, float32.

    encoder: whose head is one graph, see :mod:`remodal.backbones.exportable`. columns: the classes of all modalities
    that it reads; an answer is never of others.
    """

    def __init__(self, method: Method, encoder: Encoder, columns: Sequence[Column]) -> None:
        super().__init__()
        self.method, self.tower, self.columns = copy(method), encoder.name, columns
        towers = {**method.backbone.towers, encoder.name: _OneItem(encoder)}
        self.method.backbone = View(method.backbone, towers)

    def forward(self, frames: Tensor) -> Tensor:
        scores = self.method.scores(Tokens(self.tower, frames, torch.tensor([frames.shape[0]])), self.columns)
        return probabilities(scores)[0]


def probabilities(scores: Tensor) -> Tensor:
    """Of the candidates ``[n, classes]``; one that a method can't score has none."""
    return scores.nan_to_num(nan=-torch.inf).softmax(1)
