"""Classes that become more: where those of a task stand among all that are known."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from remodal.streams.base import Column


def joined(known: Sequence[Column], new: Sequence[Column]) -> tuple[list[Column], Tensor]:
    """``known``, then those of ``new`` that aren't among them, in their order; and the places of ``new`` in that.

    >>> cat, dog, bell = Column("image", "cat"), Column("image", "dog"), Column("audio", "bell")
    >>> columns, places = joined([cat, bell], [dog, cat])
    >>> [column.name for column in columns], places.tolist()
    (['cat', 'bell', 'dog'], [2, 0])
    """
    columns = list(dict.fromkeys([*known, *new]))
    at = {column: place for place, column in enumerate(columns)}
    return columns, torch.tensor([at[column] for column in new], dtype=torch.int64)
