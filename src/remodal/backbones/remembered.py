"""What was computed of a batch of tokens, for as long as both the batch and what it was computed with are there.

A stream's held-out items are scored after every task, mostly with parts that the task left alone; what is replaced and
never changed in place (a frozen tower, an expert, a projection) need not see them again. A task's own items are met
once, so nothing is remembered of them. Where there is more than fits, what comes first is remembered: batches come
again in the same order, so that whatever is dropped for the next one would be missed before it.
"""

from __future__ import annotations

from collections.abc import Callable
from weakref import WeakKeyDictionary

import torch
from torch import Tensor
from torch.utils.weak import WeakIdKeyDictionary

from remodal.backbones.tokens import Tokens

LIMIT = 256 << 20
"""Bytes that are remembered at most."""


class Remembered:
    """Tensors by batch and by what they were computed with, both compared by identity and neither kept alive."""

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = limit
        self._known: WeakKeyDictionary[Tokens, WeakIdKeyDictionary] = WeakKeyDictionary()

    def get(self, tokens: Tokens, using: object, compute: Callable[[], Tensor]) -> Tensor:
        """What ``compute`` gives; in inference mode, from memory where it was asked for before and had room.

        using: all that the result depends on beside the tokens. Neither it nor the result may be changed in place.
        """
        if not torch.is_inference_mode_enabled():
            return compute()
        known = self._known.setdefault(tokens, WeakIdKeyDictionary())
        if using in known:
            found: Tensor = known[using]
            return found
        found = compute()
        if self._bytes() + found.nbytes <= self._limit:
            known[using] = found
        return found

    def _bytes(self) -> int:
        return sum(known[using].nbytes for known in self._known.values() for using in known)
