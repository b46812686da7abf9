"""Frozen tokens of many items: what a stem computes once and everything after it works on.

They are in memory (:class:`Tokens`), or where they are stored until they are asked for (:class:`StoredTokens`); what
takes the one takes the other. Of items that no prompt will ever act on, frozen features alone may be known.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from remodal.errors import RemodalError

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
    frames: as the encoder's stem gives them, ``[sum(lengths), ..., width]``: all items' one after the other, in their
    order, on the CPU but for :meth:`Tower.resident`. lengths: int64 ``[n]``, frames an item (1 for a picture or a
    sentence). features: what the frozen model makes of the items, ``[n, feature_width + identity_width]``, where that
    is known already.
    """

    tower: str
    frames: Tensor
    lengths: Tensor
    features: Tensor | None = None

    @classmethod
    def stack(cls, tower: str, items: Sequence[NDArray[Any]]) -> Tokens:
        """From one array ``[frames, ..., width]`` an item."""
        lengths = torch.tensor([len(item) for item in items], dtype=torch.int64, device="cpu")
        return cls(tower, torch.from_numpy(np.concatenate(items)), lengths)

    @classmethod
    def concat(cls, parts: Iterable[Tokens]) -> Tokens:
        """Items of several batches of one tower, in their order; RemodalError where some have frames, others none."""
        listed = list(parts)
        (tower,) = {part.tower for part in listed}
        known = [part.features for part in listed]
        features = torch.cat(known) if all(one is not None for one in known) else None  # type: ignore[arg-type]
        lengths = torch.cat([part.lengths for part in listed])
        if features is not None and not any(part.has_frames for part in listed):
            return StoredTokens.of_features(tower, lengths, features)
        return cls(tower, torch.cat([part.frames for part in listed]), lengths, features)

    @property
    def has_frames(self) -> bool:
        """Whether the frames are known, and not frozen features alone."""
        return True

    @property
    def content(self) -> Tensor:
        """All that can be learned from: the frames, or the features of items of which no more is known."""
        if self.has_frames:
            return self.frames
        assert self.features is not None
        return self.features

    def __len__(self) -> int:
        return len(self.lengths)

    def __getitem__(self, index: Tensor | slice) -> Tokens:
        """The items at ``index``, an int64 tensor or a slice."""
        if isinstance(index, Tensor) and (each := self._each):
            return self._of_one_length(index, each)
        positions = _at(index, len(self))
        starts, lengths = (torch.cumsum(self.lengths, 0) - self.lengths)[positions], self.lengths[positions]
        within = torch.arange(int(lengths.sum()), device="cpu")
        within = within - (torch.cumsum(lengths, 0) - lengths).repeat_interleave(lengths)
        frames = self.frames[starts.repeat_interleave(lengths) + within]
        return Tokens(self.tower, frames, lengths, None if self.features is None else self.features[positions])

    def _of_one_length(self, index: Tensor, each: int) -> Tokens:
        """The items at ``index``, all of ``each`` frames: no CPU has to know which they are, nor to wait for a GPU."""
        frames = self.frames.view(len(self), each, *self.frames.shape[1:])[index.to(self.frames.device)].flatten(0, 1)
        lengths = torch.full((len(index),), each, device="cpu")
        features = None if self.features is None else self.features[index.to(self.features.device)]
        return Tokens(self.tower, frames, lengths, features)

    @cached_property
    def _each(self) -> int | None:
        """Frames of an item, if all have as many."""
        each = torch.unique(self.lengths).tolist()
        return each[0] if len(each) == 1 else None

    def batches(self, size: int) -> Iterator[Tokens]:
        """The items in their order, at most ``size`` at a time."""
        for start in range(0, len(self), size):
            yield self[start : start + size]

    def by_length(self) -> Iterator[tuple[Tensor, Tensor]]:
        """(positions ``[k]``, tokens ``[k, frames, ..., width]``) for each number of frames there is."""
        if not len(self):
            return
        starts, frames = torch.cumsum(self.lengths, 0) - self.lengths, self.frames
        if each := self._each:  # nothing to gather
            yield torch.arange(len(self), device="cpu"), frames.view(len(self), each, *frames.shape[1:])
            return
        for length in torch.unique(self.lengths).tolist():
            positions = (self.lengths == length).nonzero()[:, 0]
            rows = starts[positions, None] + torch.arange(length, device="cpu")
            yield positions, frames[rows]


def _at(index: Tensor | slice, count: int) -> Tensor:
    """The positions, on the CPU as the tokens are, wherever what is learned from them lives."""
    return torch.arange(count, device="cpu")[index.cpu() if isinstance(index, Tensor) else index]


Read = Callable[[Tensor], Tensor]
"""Positions ``[k]`` -> ``[sum(lengths), ..., width]``, the frames of the items there, in their order."""
ReadFeatures = Callable[[Tensor], Tensor | None]
"""Positions ``[k]`` -> features of the items there, as of :class:`Tokens`, if they are stored."""


class StoredTokens(Tokens):
    """Items whose frames are read each time they are asked for, and not kept: a part of them is another view.

    read, read_features: give frames and features of items, by their positions among those that they know; without the
    first, features alone are known. positions: int64 ``[n]``, of these items; by default all, in their order.
    """

    read: Read | None
    read_features: ReadFeatures
    positions: Tensor

    def __init__(
        self,
        tower: str,
        lengths: Tensor,
        read: Read | None,
        read_features: ReadFeatures = lambda _: None,
        positions: Tensor | None = None,
    ) -> None:
        at = torch.arange(len(lengths), device="cpu") if positions is None else positions
        known = {"tower": tower, "lengths": lengths, "read": read, "read_features": read_features, "positions": at}
        vars(self).update(known)  # a frozen class has no other way

    @classmethod
    def of_features(cls, tower: str, lengths: Tensor, features: Tensor) -> StoredTokens:
        """Items of which features ``[n, feature_width + identity_width]`` alone are known, in memory."""
        return cls(tower, lengths, None, lambda positions: features[positions.to(features.device)])

    @property
    def has_frames(self) -> bool:
        """As of :class:`Tokens`."""
        return self.read is not None

    @property
    def frames(self) -> Tensor:
        """As of :class:`Tokens`, read anew; RemodalError where there are none."""
        if self.read is None:
            raise RemodalError(
                f"tokens of the tower {self.tower!r} were asked for, and frozen features alone are stored: "
                "a method that uses prompts, or keeps items, says so (Method.needs_tokens)"
            )
        return self.read(self.positions)

    @property
    def features(self) -> Tensor | None:
        """As of :class:`Tokens`, read anew."""
        return self.read_features(self.positions)

    def __getitem__(self, index: Tensor | slice) -> StoredTokens:
        """The items at ``index``, none of which is read."""
        at = _at(index, len(self))
        return StoredTokens(self.tower, self.lengths[at], self.read, self.read_features, self.positions[at])
