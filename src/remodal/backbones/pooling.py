"""From the frozen tokens of a clip to one feature vector that keeps layout and order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from remodal.backbones.hypercolumn import TOKENS, signs


class ClipPooling(nn.Module):
    """Tokens of a clip ``[n, frames, tokens, width]`` -> one feature vector ``[n, features]`` that keeps order in time.

    Over the frames a clip has a mean, a signed binding with the frame's position in the clip (so that *when*
    survives), a standard deviation, and a mean absolute difference of neighbours. Two vectors hold the four: mean +
    binding, and deviation + signed difference; for one frame the first is the frame itself and the second zero.
    Each (token, level) block of a vector is L2-normalised, so no running statistics are needed and an item's
    features never depend on other items. The head's mean, if there is one, comes last, for the map to the text space.

    widths: channels of each level of a token. head: further channels, of which the first token's mean is a block of
    its own. tokens: of a frame.
    """

    MAX_FRAMES = 64

    def __init__(self, widths: Sequence[int], head: int = 0, tokens: int = TOKENS) -> None:
        super().__init__()
        self.widths, self.head, self.tokens = list(widths), head, tokens
        self.layout = sum(widths)
        self.feature_width = 2 * tokens * self.layout + head
        self.average_width = tokens * self.layout + head
        self.register_buffer("order_signs", signs(self.MAX_FRAMES, tokens, self.layout, seed=2), persistent=False)
        self.register_buffer("change_signs", signs(tokens, self.layout, seed=3), persistent=False)
        self._orders: dict[int, Tensor] = {}

    def forward(self, tokens: Tensor) -> Tensor:
        """Features of a batch of clips of one length."""
        layout, frames = tokens[..., : self.layout], tokens.shape[1]
        semantic = self._semantic(tokens)
        if frames == 1:
            what = self._normalise(layout[:, 0])
            return torch.cat([what, torch.zeros_like(what), semantic], dim=1)
        order = self._order(frames)
        mean = layout.mean(1, keepdim=True)
        what = self._normalise(mean[:, 0]) + self._normalise((layout * order).mean(1))
        spread = self._normalise(self.deviation(layout, mean))
        change = self._normalise((layout[:, 1:] - layout[:, :-1]).abs().mean(1) * cast(Tensor, self.change_signs))
        return torch.cat([what, spread + change, semantic], dim=1)

    def deviation(self, layout: Tensor, mean: Tensor) -> Tensor:
        """Of the frames ``[n, frames, tokens, layout]`` from their mean."""
        # the epsilon keeps the gradient finite where frames do not change
        return ((layout - mean).square().mean(1) + 1e-12).sqrt()

    def average(self, tokens: Tensor) -> Tensor:
        """What the frames show on average, ``[n, tokens * layout + head]``; nothing of their order or number."""
        return torch.cat([self._normalise(tokens[..., : self.layout].mean(1)), self._semantic(tokens)], dim=1)

    def _semantic(self, tokens: Tensor) -> Tensor:
        """The head's mean over the frames, of unit length."""
        return functional.normalize(tokens[:, :, 0, self.layout :].mean(1), dim=-1)

    def _order(self, frames: int) -> Tensor:
        """Signs of the frames' positions, ``[frames, tokens, layout]``: the same for the same part of a clip.

        Positions are found on the CPU, since devices differ in how they round what lies half way between two; and once,
        since a GPU would wait for them.
        """
        if frames not in self._orders:
            positions = self.positions(frames)
            signs = cast(Tensor, self.order_signs)
            with torch.inference_mode(False):  # it serves training too, whoever asks first
                self._orders[frames] = signs[positions.to(signs.device)]
        return self._orders[frames]

    def positions(self, frames: int) -> Tensor:
        """Of so many frames among those that have signs of their own, evenly spread ``[frames]``."""
        return torch.linspace(0, self.MAX_FRAMES - 1, frames, device="cpu").round().long()

    def _normalise(self, pooled: Tensor) -> Tensor:
        """``[n, tokens, layout]`` -> ``[n, tokens * layout]``, each (token, level) block of unit length."""
        blocks = [functional.normalize(block, dim=-1) for block in torch.split(pooled, self.widths, dim=-1)]
        return torch.cat(blocks, dim=-1).flatten(1)
