"""What answers within one modality."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from remodal.adaptation.alignment import aligned
from remodal.backbones import Tokens, Tower


class Answering(Protocol):
    """What answers within one modality; never changed, only replaced."""

    @property
    def temperature(self) -> float:
        """Divisor of its logits."""

    @property
    def parameters(self) -> int:
        """Numbers that a task of the modality trains."""

    def embedded(self, tower: Tower, tokens: Tokens) -> Tensor:
        """What items are mapped to in the text space ``[n, d]``, L2-normalised."""


@dataclass(frozen=True, eq=False)
class Expert:
    """Prompts and an adapter that answer within one modality.

    prompts: ``[layers, 2, length, width]``; empty, ``[0]``, where the frozen model serves as it is.
    """

    prompts: Tensor
    adapter: Tensor
    temperature: float

    @property
    def parameters(self) -> int:
        """Prompts and adapter."""
        return self.prompts.numel() + self.adapter.numel()

    def embedded(self, tower: Tower, tokens: Tokens) -> Tensor:
        """``normalise(align(u) + A u)`` ``[n, d]`` of features u under the prompts."""
        return aligned(tower, self.adapter, tower.features(tokens, self.prompts if self.prompts.numel() else None))


def embeddings(tower: Tower, tokens: Tokens, expert: Answering | None) -> Tensor:
    """What items are mapped to in the text space under an expert ``[n, d]``, or by the frozen model; remembered.

    Learning one modality replaces its expert and leaves the others'.
    """
    if expert is None:
        return aligned(tower, None, tower.features(tokens))
    return tower.remembered(tokens, expert, lambda: expert.embedded(tower, tokens))
