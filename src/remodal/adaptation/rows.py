"""Numbers of a task's items, computed where they are asked for: a minibatch, or a chunk after the other.

So that neither learning from statistics nor training holds more of a task than a chunk, however many items it has.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from remodal.backbones import CHUNK, Tokens
from remodal.backbones.tokens import chunks


@dataclass(frozen=True, eq=False)
class Rows:
    """What ``compute`` gives of each item, ``[n, width]``; read like a tensor, by positions or by a slice.

    Up to ``CHUNK`` items are computed once, and kept as long as this is; more are computed whenever they are asked for.

    >>> import torch
    >>> from remodal.testing import toy_stream, ToyBackbone
    >>> tokens = toy_stream().tasks[0].train.tokens
    >>> features = Rows(tokens, ToyBackbone().tower("image").features)
    >>> len(features), features[torch.tensor([3, 1])].shape
    (24, torch.Size([2, 24]))
    """

    tokens: Tokens
    compute: Callable[[Tokens], Tensor]

    def __len__(self) -> int:
        return len(self.tokens)

    def __getitem__(self, index: Tensor | slice) -> Tensor:
        return self._all[index] if len(self) <= CHUNK else self.compute(self.tokens[index])

    @cached_property
    def _all(self) -> Tensor:
        return self.compute(self.tokens)


def in_chunks(items: Tensor | Rows) -> Iterator[tuple[slice, Tensor]]:
    """Positions and rows of the items, at most ``CHUNK`` at a time; each chunk is spread over all of them."""
    for rows in chunks(len(items)):
        yield rows, items[rows]


def added(sums: Tensor, items: Tensor | Rows, labels: Tensor, classes: int) -> Tensor:
    """``sums`` ``[known, width]`` of each class's items, and these ``[n, width]``; ``[classes, width]``.

    labels: int64 ``[n]`` in ``range(classes)``, which may be more than were known.
    """
    total = torch.cat([sums, sums.new_zeros(classes - len(sums), sums.shape[1])])
    for rows, own in in_chunks(items):
        total.index_add_(0, labels[rows], own)
    return total


def mean(items: Tensor | Rows) -> Tensor:
    """Of all items, ``[width]``."""
    sums = [own.sum(0) for _, own in in_chunks(items)]
    total: Tensor = sum(sums[1:], sums[0])
    return total / len(items)
