"""The pooling of clips as one graph: a clip of any number of frames goes the same way through it."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor

from remodal.backbones.pooling import ClipPooling


class AnyLengthPooling(ClipPooling):
    """:class:`ClipPooling` without a choice that depends on the number of frames, which a traced graph can't make.

    What one frame lacks, all that is made of several, is computed for it too and multiplied by zero.
    """

    def __init__(self, pooling: ClipPooling) -> None:
        super().__init__(pooling.widths, pooling.head, pooling.tokens)
        orders = [
            torch.zeros(0, dtype=torch.int64),
            *(self.positions(count) for count in range(1, self.MAX_FRAMES + 1)),
        ]
        self.register_buffer("all_positions", torch.nn.utils.rnn.pad_sequence(orders, batch_first=True))

    def forward(self, tokens: Tensor) -> Tensor:
        """Features of a batch of clips of one length."""
        layout = tokens[..., : self.layout]
        frames = torch.as_tensor(tokens.shape[1])  # in a trace, the shape of what comes
        several = (frames > 1).float()
        order = cast(Tensor, self.order_signs)[cast(Tensor, self.all_positions)[frames][:frames]]
        mean = layout.mean(1, keepdim=True)
        what = self._normalise(mean[:, 0]) + several * self._normalise((layout * order).mean(1))
        spread = self._normalise(self.deviation(layout, mean))
        steps = (layout[:, 1:] - layout[:, :-1]).abs().sum(1) / (frames - 1).clamp(min=1)
        change = self._normalise(steps * cast(Tensor, self.change_signs))
        return torch.cat([what, several * (spread + change), self._semantic(tokens)], dim=1)
