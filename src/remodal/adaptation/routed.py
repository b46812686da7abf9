"""Scores over candidates of several modalities: which modality by the router, which class by that modality's expert."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from remodal.adaptation.alignment import aligned
from remodal.adaptation.router import Router
from remodal.backbones import Backbone, Tokens, Tower
from remodal.streams.base import Column

UNKNOWN_MODALITY = math.log(1e-6)
"""Log-probability of a modality that no task has shown yet."""


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


def readable(tokens: Tokens, columns: Sequence[Column], backbone: Backbone) -> Tensor:
    """Which candidates are of a modality that the tokens' tower reads, bool ``[len(columns)]``."""
    return torch.tensor([backbone.reads.get(column.modality) == tokens.tower for column in columns], dtype=torch.bool)


def embeddings(tower: Tower, tokens: Tokens, expert: Answering | None) -> Tensor:
    """What items are mapped to in the text space under an expert ``[n, d]``, or by the frozen model; remembered.

    Learning one modality replaces its expert and leaves the others'.
    """
    if expert is None:
        return aligned(tower, None, tower.features(tokens))
    return tower.remembered(tokens, expert, lambda: expert.embedded(tower, tokens))


def routed_scores(
    backbone: Backbone,
    router: Router,
    experts: Mapping[str, Answering],
    tokens: Tokens,
    columns: Sequence[Column],
) -> Tensor:
    """``log p(m) + log softmax_c(scale * h_m . w_c / T_m)`` over the candidates c of each modality m, ``[n, columns]``.

    router: of the tokens' tower. Candidates of another tower get -inf; a modality without an expert is scored by the
    frozen model.
    """
    tower = backbone.towers[tokens.tower]
    own = readable(tokens, columns, backbone)
    out = torch.full((len(tokens), len(columns)), -torch.inf)
    prior = router.log_probability(tower.identity(tokens)) if router.modalities else {}
    for modality in dict.fromkeys(column.modality for column, mine in zip(columns, own) if mine):
        positions = [index for index, column in enumerate(columns) if column.modality == modality]
        expert = experts.get(modality)
        names = [columns[index].name for index in positions]
        logits = backbone.logits(embeddings(tower, tokens, expert), names)
        log_prior = prior.get(modality, torch.full((len(tokens),), UNKNOWN_MODALITY))
        out[:, positions] = log_prior[:, None] + (logits / (expert.temperature if expert else 1.0)).log_softmax(dim=1)
    return out
