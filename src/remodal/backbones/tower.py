"""What stands between the store and the methods: features of items, under prompts or without.

A tower takes items of any number of frames, moves them to where its encoder computes, a few at a time, and remembers
what will be asked for again. Methods know nothing else of a frozen model.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from remodal.backbones.encoder import Encoder
from remodal.backbones.recorded import Recorded
from remodal.backbones.remembered import Remembered
from remodal.backbones.tokens import Tokens

FRAMES = {"cpu": 64, "cuda": 1024, "mps": 128}
"""That a network takes at a time where no gradient is asked for."""
RESIDENT = 1 << 30
"""Bytes of items that stay on a GPU while they are trained on, at most."""

Computed = Callable[[Tensor, Tensor | None], Tensor]
"""(tokens of items of one length, their prompts) -> one row an item."""


class Tower:
    """An encoder for batches of items, and what is remembered of them: frozen numbers, and what methods make of items.

    The two are remembered apart, so that many wide features don't leave methods without room.
    """

    def __init__(self, encoder: Encoder) -> None:
        self.encoder = encoder
        self._known_frozen, self._known = Remembered(), Remembered()
        self._recorded = Recorded() if encoder.recordable and encoder.engine.device.type == "cuda" else None
        self.name, self.layers, self.width = encoder.name, encoder.layers, encoder.width
        self.feature_width, self.identity_width = encoder.feature_width, encoder.identity_width
        self.knows_names, self.prompt_training = encoder.knows_names, encoder.prompt_training

    def features(self, tokens: Tokens, prompts: Tensor | None = None) -> Tensor:
        """Features ``[n, feature_width]``, float32; differentiable in the prompts, remembered without them.

        prompts: ``[layers, 2, length, width]``, or one an item, ``[n, layers, 2, length, width]``; or several beside
        each other, ``[1 or n, parts, layers, 2, length, width]``.
        """
        if prompts is not None:
            return self._of_frames(tokens, self.feature_width, self.encoder.embed, prompts)
        if self.encoder.keeps_features:
            return self.frozen(tokens)[:, : self.feature_width]
        embed = self.encoder.embed
        return self._known_frozen.get(tokens, self, lambda: self._of_frames(tokens, self.feature_width, embed, None))

    def identity(self, tokens: Tokens) -> Tensor:
        """What a router, a key or a query may see of the frozen model, ``[n, identity_width]``."""
        if self.encoder.keeps_features:
            return self.frozen(tokens)[:, self.feature_width :]
        pooled = self.encoder.pooled
        return self._known_frozen.get(
            tokens, self.encoder, lambda: self._of_frames(tokens, self.identity_width, lambda group, _: pooled(group))
        )

    def align(self, features: Tensor) -> Tensor:
        """Features in the text space, ``[n, d]``, by the frozen model's own map (linear, not normalised)."""
        return self.encoder.align(features)

    def remembered(self, tokens: Tokens, using: object, compute: Callable[[], Tensor]) -> Tensor:
        """What ``compute`` gives of these items, from memory if it was asked for before (:class:`Remembered`)."""
        return self._known.get(tokens, using, compute)

    def resident(self, tokens: Tokens) -> Tokens:
        """The same items for training, which asks for them again and again: on a GPU if they fit, else as they are.

        Of their frozen features nothing is known there.
        """
        engine = self.encoder.engine
        if engine.home.type == "cpu" or tokens[:1].frames[0].nbytes * int(tokens.lengths.sum()) > RESIDENT:
            return tokens
        return Tokens(tokens.tower, engine.here(tokens.frames), tokens.lengths)

    def frozen(self, tokens: Tokens) -> Tensor:
        """Features and identity side by side, of the frozen model: as stored, or of the frames, in one pass."""

        def compute() -> Tensor:
            if (stored := tokens.features) is not None:
                return self.encoder.engine.home_of(stored).float()
            width = self.feature_width + self.identity_width
            return self._of_frames(tokens, width, lambda group, _: torch.cat(self.encoder.frozen(group), dim=1))

        return self._known_frozen.get(tokens, self, compute)

    def _of_frames(self, tokens: Tokens, width: int, compute: Computed, prompts: Tensor | None = None) -> Tensor:
        """``[n, width]``: what ``compute`` gives of items of one length and their prompts, a few at a time."""
        engine = self.encoder.engine
        trained = prompts is not None and prompts.requires_grad and torch.is_grad_enabled()
        # an encoder says where its tensors are; to ask for a default device at every call takes as long as small layers
        with torch._C.DisableTorchFunction():
            order, parts = list[Tensor](), list[Tensor]()
            for positions, group in self._groups(tokens, whole=trained):
                own = prompts
                if prompts is not None:
                    some = _one_an_item(prompts) and len(positions) < len(prompts)  # all of them are in their order
                    own = engine.here(prompts[engine.home_of(positions)] if some else prompts)
                if self._recorded is not None and own is not None and trained:
                    found = self._recorded(compute, group, own)
                else:
                    found = compute(group, own)
                order.append(positions)
                parts.append(engine.home_of(found.float()))
            return _in_order(order, parts) if parts else torch.empty(0, width, device=engine.home)

    def _groups(self, tokens: Tokens, whole: bool) -> Iterator[tuple[Tensor, Tensor]]:
        """Positions and tokens of items of one length, on the device; all that have it, or some at a time."""
        engine = self.encoder.engine
        for positions, frames in tokens.by_length():
            at_once = FRAMES[engine.device.type] // (frames.shape[1] * self.encoder.cost)
            some = len(positions) if whole else max(1, at_once)
            for at, group in zip(torch.split(positions, some), torch.split(frames, some)):
                yield at, engine.here(group)


def _in_order(order: list[Tensor], parts: list[Tensor]) -> Tensor:
    """Rows ``[n, width]``, of which ``order`` says where they belong."""
    rows, places = (one[0] if len(one) == 1 else torch.cat(one) for one in (parts, order))
    if bool((places[1:] > places[:-1]).all()):
        return rows
    return torch.empty_like(rows).index_copy(0, places.to(rows.device), rows)


def _one_an_item(prompts: Tensor) -> bool:
    return prompts.dim() == 5 or (prompts.dim() == 6 and len(prompts) > 1)
