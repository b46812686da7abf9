"""Which items a model has learned: what each is called in the feature store, its class, and where it came from.

So a model can be learned again without some of them, from stored features, and nobody needs to keep the files.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

import numpy as np
import torch
from torch import Tensor

from remodal.features.entries import KEY_BYTES
from remodal.features.store import KeyedTokens
from remodal.methods.base import State, TaskData
from remodal.streams.base import Column


def _none(kind: torch.dtype, *shape: int) -> Tensor:
    return torch.zeros(0, *shape, dtype=kind, device="cpu")


@dataclass(frozen=True)
class Items:
    """Items in the order in which they were learned, 40 bytes each.

    keys: uint8 ``[n, KEY_BYTES]``, of their tokens in a feature store. columns: int32 ``[n]``, places among the model's
    classes. sources: int32 ``[n]``, places among its sources.
    """

    keys: Tensor = field(default_factory=lambda: _none(torch.uint8, KEY_BYTES))
    columns: Tensor = field(default_factory=lambda: _none(torch.int32))
    sources: Tensor = field(default_factory=lambda: _none(torch.int32))

    def __len__(self) -> int:
        return len(self.keys)

    def __getitem__(self, rows: Tensor) -> Self:
        return type(self)(self.keys[rows], self.columns[rows], self.sources[rows])

    def and_then(self, later: Self) -> Self:
        """These, and ``later`` ones."""
        both = zip(vars(self).values(), vars(later).values(), strict=True)
        return type(self)(*(torch.cat(pair) for pair in both))

    def learned(self, data: TaskData, columns: Sequence[Column], source: int) -> Self:
        """With those of a task, as far as a store has them. columns: the model's classes after it."""
        if not isinstance(data.tokens, KeyedTokens):
            return self
        keys = torch.from_numpy(np.frombuffer(b"".join(data.tokens.own_keys), np.uint8).copy())
        places = torch.tensor([columns.index(column) for column in data.columns], dtype=torch.int32)
        own = places[data.labels.cpu()]
        return self.and_then(type(self)(keys.view(-1, KEY_BYTES), own, torch.full_like(own, source)))

    def placed(self, columns: Mapping[int, int], sources: Mapping[int, int]) -> Self:
        """With other places of classes and sources, by those that they have."""
        new = (
            torch.tensor([places[at] for at in now.tolist()], dtype=torch.int32)
            for now, places in ((self.columns, columns), (self.sources, sources))
        )
        return type(self)(self.keys, *new)

    def named(self) -> list[bytes]:
        """Their keys."""
        return [row.tobytes() for row in self.keys.numpy()]

    def having(self, key: bytes) -> Tensor:
        """Which of them have that key, bool ``[n]``."""
        wanted = torch.from_numpy(np.frombuffer(key, np.uint8).copy())
        return (self.keys == wanted).all(dim=1)

    def state(self) -> State:
        """As plain data."""
        return State(dict(vars(self)))

    @classmethod
    def from_state(cls, state: State, classes: int, sources: int) -> Self:
        """What :meth:`state` gave, of so many classes and sources; ValueError where it can't be that."""
        found = cls(*(state.tensors[name] for name in ("keys", "columns", "sources")))
        for of, kind in zip(vars(found).values(), (torch.uint8, torch.int32, torch.int32), strict=True):
            if of.dtype != kind or len(of) != len(found):
                raise ValueError("learned items: their keys, classes and sources don't fit")
        if found.keys.shape[1:] != (KEY_BYTES,) or found.columns.dim() != 1 or found.sources.dim() != 1:
            raise ValueError("learned items: their keys, classes and sources don't fit")
        for of, most in ((found.columns, classes), (found.sources, sources)):
            if len(of) and not 0 <= int(of.min()) <= int(of.max()) < most:
                raise ValueError("learned items: of a class or a source that the model doesn't know")
        return found
