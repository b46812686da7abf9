"""What answers within one modality: the prompts and the alignment that were learned for it."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from remodal.adaptation.alignment import aligned
from remodal.backbones import Tokens, Tower


@dataclass(frozen=True, eq=False)
class Expert:
    """What answers within one modality; never changed, only replaced.

    prompts: ``[layers, 2, length, width]``; empty, ``[0]``, where the frozen model serves as it is.
    """

    prompts: Tensor
    adapter: Tensor
    temperature: float


def embeddings(tower: Tower, tokens: Tokens, expert: Expert | None) -> Tensor:
    """What items are mapped to in the text space under an expert ``[n, d]``, or by the frozen model; remembered.

    Learning one modality replaces its expert and leaves the others'.
    """
    if expert is None:
        return aligned(tower, None, tower.features(tokens))
    prompts = expert.prompts if expert.prompts.numel() else None
    return tower.remembered(tokens, expert, lambda: aligned(tower, expert.adapter, tower.features(tokens, prompts)))
