"""From a method's scores to what a user asked: the likeliest classes, and a place in the text space."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from remodal.backbones import Tokens
from remodal.familiarity import Familiarity
from remodal.methods.base import Method
from remodal.streams.base import Column

LEARNED_SHARE = 0.5
"""Of an embedding's two halves, what was learned and what the frozen model says."""
UNFAMILIAR = 0.05
"""Media no more familiar than so are unlike anything learned: of what was learned, about so many are."""


class Prediction(NamedTuple):
    """One answer: the class, its modality, and the probability of the two together."""

    label: str
    modality: str
    probability: float


class Answer(NamedTuple):
    """What a model says of one medium.

    medium: its name. best: the likeliest classes, best first. modalities: the probability of each modality that the
    model knows. place: where it stands in the text space, ``[d]``, of length one. problem: why the medium could not be
    answered; the others are empty then. familiarity: share of what the model holds out that looks at least as strange
    to it as the medium does, see :mod:`remodal.familiarity`; 0 where no class of a modality of this encoder was
    learned, None where too little is held out to say. features: what the frozen model makes of it, ``[w]``, float16.
    """

    medium: str
    best: tuple[Prediction, ...]
    modalities: dict[str, float]
    place: NDArray[np.float32] | None
    problem: str | None = None
    familiarity: float | None = None
    features: NDArray[np.float16] | None = None

    @property
    def unfamiliar(self) -> bool:
        """Whether the medium is unlike anything that the model has learned, so that its answer says little."""
        return self.familiarity is not None and self.familiarity <= UNFAMILIAR

    @property
    def modality(self) -> str:
        """The likeliest one."""
        return max(self.modalities, key=lambda name: self.modalities[name])


def refused(medium: str, problem: str) -> Answer:
    """The answer for a medium that could not be answered."""
    return Answer(medium, (), {}, None, problem)


def answered(
    method: Method,
    tokens: Tokens,
    columns: Sequence[Column],
    familiarity: Familiarity,
    names: Sequence[str],
    top: int,
) -> list[Answer]:
    """What the method says of items that one tower has read. names: of the items.

    Half of an item's place is the mean of the anchors of its modality's classes, weighted by their probabilities
    (ConSE: Norouzi et al., ICLR 2014), half is the frozen model's own alignment, so that items of classes that were
    never learned have a place of their own too.
    """
    tower = method.backbone.towers[tokens.tower]
    anchors = method.backbone.anchors([column.name for column in columns]).cpu()
    modalities = dict.fromkeys(column.modality for column in columns)
    inside = {one: torch.tensor([column.modality == one for column in columns]) for one in modalities}
    answers = []
    with torch.inference_mode():
        rows = method.scores(tokens, columns).cpu().nan_to_num(nan=-torch.inf).double().softmax(dim=1)
        features = tower.features(tokens)
        frozen = functional.normalize(tower.align(features), dim=-1).cpu()
        read = any(method.backbone.tower(one) is tower for one in modalities)
        known = familiarity(tokens) if read else [0.0] * len(features)
        kept = features.half().cpu().numpy()
        for name, row, direction, familiar, own in zip(names, rows, frozen, known, kept, strict=True):
            shares = _by_modality(row, columns)
            modality = max(shares, key=lambda one: shares[one])
            learned = functional.normalize(row.masked_fill(~inside[modality], 0.0).float() @ anchors, dim=-1)
            place = functional.normalize(LEARNED_SHARE * learned + (1 - LEARNED_SHARE) * direction, dim=-1)
            best = _likeliest(row, columns, top)
            answers.append(Answer(name, best, shares, place.numpy(), None, familiar, own))
    return answers


def _likeliest(row: Tensor, columns: Sequence[Column], top: int) -> tuple[Prediction, ...]:
    order = row.topk(min(top, len(columns))).indices.tolist()
    return tuple(Prediction(columns[at].name, columns[at].modality, float(row[at])) for at in order)


def _by_modality(row: Tensor, columns: Sequence[Column]) -> dict[str, float]:
    shares = dict.fromkeys((column.modality for column in columns), 0.0)
    for column, probability in zip(columns, row.tolist(), strict=True):
        shares[column.modality] += probability
    return shares
