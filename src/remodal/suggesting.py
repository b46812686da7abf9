"""What to label next: of many media without labels, those whose labels would teach a model most."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from remodal.answering import Answer
from remodal.choosing import Choice, Pool, chosen
from remodal.errors import BadItem, RemodalError
from remodal.features.entries import token_key
from remodal.features.progress import Progress, Silent
from remodal.media import Given, Medium, given, named
from remodal.model import Model
from remodal.streams.base import Quarantined

GUESSES = 9
"""Classes that are guessed of each: one for each of the keys 1 to 9."""
KNOWN = 2_000
"""Learned items of a tower that media are compared with, at most."""
SAME = 1e-5
"""Squared distance of features of length one that are of the same content; they are computed in single precision."""
DOUBTFUL = 0.5
"""From so much doubt on a guess is more likely wrong than right."""

Why = Literal["unfamiliar", "doubtful", "like others"]


class Asked(NamedTuple):
    """What a model says of a medium without a label. read_as: the modality whose reader decoded it."""

    answer: Answer
    read_as: str


class Suggestion(NamedTuple):
    """A medium to be labelled. place: among those that were asked about. like: how many others are most like it, of
    what was not chosen before it.
    """

    place: int
    answer: Answer
    read_as: str
    like: int

    @property
    def doubt(self) -> float:
        """How likely the model's guess is wrong, as far as the model knows, 0 to 1."""
        return 1.0 - self.answer.best[0].probability

    @property
    def why(self) -> Why:
        """What speaks most for it: it is unlike anything learned, its guess is doubted, or others are like it."""
        if self.answer.unfamiliar:
            return "unfamiliar"
        return "doubtful" if self.doubt >= DOUBTFUL else "like others"


class Suggested(NamedTuple):
    """The media to be labelled first, best first. learned: how many have the content of what the model has learned or
    holds out. copies: how many have the content of another one. set_aside: those that can't be used.
    """

    chosen: tuple[Suggestion, ...]
    learned: int
    copies: int
    set_aside: tuple[Quarantined, ...]


class Contents:
    """Which contents have been there already: those that the model has learned, and those that were looked at."""

    def __init__(self, model: Model) -> None:
        self._fingerprint = model.backbone.fingerprint
        self._learned = frozenset(model.learned_.items.named())
        self._seen: set[bytes] = set()
        self.learned = self.copies = 0

    def is_new(self, one: Given) -> bool:
        """Whether a medium's content is neither; it is counted otherwise."""
        key = token_key(self._fingerprint, one.read_as, one.unit, one.data)
        self.learned += key in self._learned
        self.copies += key in self._seen and key not in self._learned
        new = key not in self._seen and key not in self._learned
        self._seen.add(key)
        return new


def suggest(
    model: Model,
    media: Sequence[Medium],
    count: int,
    modality: str | None = None,
    *,
    depth_unit: str | None = None,
    progress: Progress | None = None,
) -> Suggested:
    """The ``count`` media whose labels would teach the model most (:mod:`remodal.choosing`).

    modality, depth_unit: of the media, see :meth:`Model.predict`. What can't be read doesn't stop the others.

    Raises:
        RemodalError: The model has learned nothing of the modality, or ``count`` is less than 1.
    """
    check_count(count)
    model.candidates(modality)
    unit, contents, shown = model.unit(depth_unit), Contents(model), progress or Silent()
    new: list[Medium] = []
    read_as: list[str] = []
    set_aside: list[Quarantined] = []
    with shown.work("look", len(media)) as count_one:
        for medium in media:
            try:
                one = given(named(medium), medium, modality, unit)
            except BadItem as bad:
                set_aside.append(Quarantined(named(medium), bad.reason))
            else:
                if contents.is_new(one):
                    new.append(medium)
                    read_as.append(one.read_as)
            count_one()
    asked = []
    for answer, reader in zip(model.answers(new, modality, GUESSES, shown, depth_unit=depth_unit), read_as, strict=True):
        if answer.problem is None:
            asked.append(Asked(answer, reader))
        else:
            set_aside.append(Quarantined(answer.medium, answer.problem))
    found, held_out = first(model, asked, count)
    return Suggested(found, contents.learned + held_out, contents.copies, tuple(set_aside))


def check_count(count: int) -> None:
    """RemodalError where so many can't be chosen."""
    if count < 1:
        raise RemodalError(f"found {count} to be labelled first; valid: 1 or more")


def first(model: Model, asked: Sequence[Asked], count: int) -> tuple[tuple[Suggestion, ...], int]:
    """The ``count`` media to be labelled first, and how many of those asked about the model has learned or holds out."""
    known = model.known_features(KNOWN)
    towers = list(dict.fromkeys(model.backbone.reads[one.read_as] for one in asked))
    places: list[Tensor] = []
    pools: list[Pool] = []
    for tower in towers:
        own = [at for at, one in enumerate(asked) if model.backbone.reads[one.read_as] == tower]
        features = torch.from_numpy(np.stack([asked[at].answer.features for at in own])).float()
        there = known.get(tower, features[:0])
        new = _unlike(features, there)
        places.append(torch.tensor(own)[new])
        doubt = torch.tensor([1.0 - asked[at].answer.best[0].probability for at in own])
        pools.append(Pool(features[new], doubt[new], there))
    picked = [_suggestion(asked, int(places[one.pool][one.item]), one) for one in chosen(pools, count)]
    return tuple(picked), len(asked) - sum(len(own) for own in places)


def _suggestion(asked: Sequence[Asked], place: int, choice: Choice) -> Suggestion:
    return Suggestion(place, asked[place].answer, asked[place].read_as, choice.like)


def _unlike(features: Tensor, known: Tensor) -> Tensor:
    """Which of them are no known item's features, bool ``[n]``."""
    if not len(known):
        return torch.ones(len(features), dtype=torch.bool)
    own, others = functional.normalize(features, dim=1), functional.normalize(known.half().float(), dim=1)
    return (2 - 2 * own @ others.T).amin(1) > SAME
