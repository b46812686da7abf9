"""Frozen tokens of many items: what a stem computes once and everything after it works on.

They are in memory (:class:`Tokens`), or where they are stored until they are asked for (:class:`StoredTokens`); what
takes the one takes the other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

CHUNK = 512
"""Items that are taken at a time, so that memory doesn't depend on how many there are."""


def chunks(count: int, most: int = CHUNK) -> list[slice]:
    """Positions of ``count`` items, at most ``most`` at a time; each chunk is spread over all of them.

    So a chunk has items of all classes, also where a task lists one class after the other.
    """
    parts = -(-count // most)
    return [slice(start, None, parts) for start in range(parts)]


@dataclass(frozen=True, eq=False)
class Tokens:
    """The tokens of ``n`` items that one tower of a backbone read.

    tower: name of the tower that made them (``"vision"``, ``"text"``).
    frames: float16 ``[sum(lengths), tokens, width]``, the frames of all items one after the other, in their order.
    lengths: int64 ``[n]``, frames an item (1 for a picture or a sentence).
    """

    tower: str
    frames: Tensor
    lengths: Tensor

    @classmethod
    def stack(cls, tower: str, items: Sequence[NDArray[np.float16]]) -> Tokens:
        """From one array ``[frames, tokens, width]`` an item."""
        lengths = torch.tensor([len(item) for item in items], dtype=torch.int64)
        return cls(tower, torch.from_numpy(np.concatenate(items)), lengths)

    @classmethod
    def concat(cls, parts: Iterable[Tokens]) -> Tokens:
        """Items of several batches of one tower, in their order."""
        listed = list(parts)
        (tower,) = {part.tower for part in listed}
        return cls(tower, torch.cat([part.frames for part in listed]), torch.cat([part.lengths for part in listed]))

    def __len__(self) -> int:
        return len(self.lengths)

    def __getitem__(self, index: Tensor | slice) -> Tokens:
        """The items at ``index``, an int64 tensor or a slice."""
        positions = torch.arange(len(self))[index]
        starts, lengths = (torch.cumsum(self.lengths, 0) - self.lengths)[positions], self.lengths[positions]
        within = torch.arange(int(lengths.sum())) - (torch.cumsum(lengths, 0) - lengths).repeat_interleave(lengths)
        return Tokens(self.tower, self.frames[starts.repeat_interleave(lengths) + within], lengths)

    def batches(self, size: int) -> Iterator[Tokens]:
        """The items in their order, at most ``size`` at a time."""
        for start in range(0, len(self), size):
            yield self[start : start + size]

    def by_length(self) -> Iterator[tuple[Tensor, Tensor]]:
        """(positions ``[k]``, float32 tokens ``[k, frames, tokens, width]``) for each number of frames there is."""
        if not len(self):
            return
        starts, frames = torch.cumsum(self.lengths, 0) - self.lengths, self.frames
        for length in torch.unique(self.lengths).tolist():
            positions = (self.lengths == length).nonzero()[:, 0]
            rows = starts[positions, None] + torch.arange(length)
            yield positions, frames[rows].float()


Read = Callable[[Tensor], Tensor]
"""Positions ``[k]`` -> float16 ``[sum(lengths), tokens, width]``, the frames of the items there, in their order."""


class StoredTokens(Tokens):
    """Items whose frames are read each time they are asked for, and not kept: a part of them is another view.

    read: gives frames of items, by their positions among those that it knows. positions: int64 ``[n]``, of these
    items; by default all, in their order.
    """

    read: Read
    positions: Tensor

    def __init__(self, tower: str, lengths: Tensor, read: Read, positions: Tensor | None = None) -> None:
        at = torch.arange(len(lengths)) if positions is None else positions
        vars(self).update(tower=tower, lengths=lengths, read=read, positions=at)  # a frozen class has no other way

    @property
    def frames(self) -> Tensor:
        """As of :class:`Tokens`, read anew."""
        return self.read(self.positions)

    def __getitem__(self, index: Tensor | slice) -> StoredTokens:
        """The items at ``index``, none of which is read."""
        return StoredTokens(self.tower, self.lengths[index], self.read, self.positions[index])
