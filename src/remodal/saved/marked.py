"""Items of a model that are meant: some of those that it has learned, and of those that it holds out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from remodal.saved.learned import Learned
from remodal.streams.base import Column


@dataclass(frozen=True)
class Marked:
    """learned: bool ``[n]``, of ``Learned.items``. held_out: by modality, bool ``[m]``, of ``Learned.held_out``."""

    learned: Tensor
    held_out: Mapping[str, Tensor]

    @classmethod
    def none(cls, of: Learned) -> Marked:
        """No item."""
        held_out = {name: torch.zeros(len(kept.labels), dtype=torch.bool) for name, kept in of.held_out.kept.items()}
        return cls(torch.zeros(len(of.items), dtype=torch.bool), held_out)

    def __or__(self, other: Marked) -> Marked:
        """Items of either."""
        held_out = {name: own | other.held_out[name] for name, own in self.held_out.items()}
        return Marked(self.learned | other.learned, held_out)

    def __bool__(self) -> bool:
        """Whether there is any."""
        return bool(self.learned.any()) or self.held > 0

    @property
    def held(self) -> int:
        """How many of those that are held out."""
        return sum(int(own.sum()) for own in self.held_out.values())

    def columns(self, of: Learned) -> list[Column]:
        """The classes that they have, each once."""
        learned = [of.columns[at] for at in of.items.columns[self.learned].tolist()]
        held = [
            Column(modality, of.held_out.kept[modality].labels[at])
            for modality, own in self.held_out.items()
            for at in own.nonzero()[:, 0].tolist()
        ]
        return list(dict.fromkeys([*learned, *held]))
