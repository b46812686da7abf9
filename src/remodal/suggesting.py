"""What to label next: of many media without labels, those whose labels would teach a model most."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from remodal.answering import Answer
from remodal.choosing import Pool, chosen
from remodal.errors import BadItem, RemodalError
from remodal.features.entries import token_key
from remodal.features.progress import Progress, Silent
from remodal.media import Given, Whole, given, named
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


class Known:
    """What a model knows by now, to compare media with: made once for each version."""

    def __init__(self, model: Model) -> None:
        self.fingerprint, self.reads = model.backbone.fingerprint, model.backbone.reads
        self.learned = frozenset(model.learned_.items.named())
        """Keys of what it has learned."""
        self.features = {tower: own.half() for tower, own in model.known_features(KNOWN).items()}
        """By tower, of what it has learned, as far as it is stored, and holds out ``[n, d]``."""

    def first(self, asked: Sequence[Asked], count: int) -> Suggested:
        """The ``count`` media to be labelled first; those whose features are known ones' are left out."""
        places: list[Tensor] = []
        pools: list[Pool] = []
        for tower in dict.fromkeys(self.reads[one.read_as] for one in asked):
            own = [at for at, one in enumerate(asked) if self.reads[one.read_as] == tower]
            rows = [asked[at].answer.features for at in own]
            features = torch.from_numpy(np.stack([row for row in rows if row is not None])).float()
            known = self.features.get(tower, features[:0]).float()
            new = _unlike(features, known)
            places.append(torch.tensor(own)[new])
            doubt = torch.tensor([1.0 - asked[at].answer.best[0].probability for at in own])
            pools.append(Pool(features[new], doubt[new], known))
        found = []
        for one in chosen(pools, count):
            at = int(places[one.pool][one.item])
            found.append(Suggestion(at, asked[at].answer, asked[at].read_as, one.like))
        return Suggested(tuple(found), len(asked) - sum(len(own) for own in places), 0, ())


class Contents:
    """Which contents have been there already: those that were learned, and those that were looked at.

    learned, copies: how many were found not to be new, since they are of the one, or of the other.
    """

    def __init__(self, known: Known) -> None:
        self._known = known
        self._seen: set[bytes] = set()
        self.learned = self.copies = 0

    def is_new(self, one: Given) -> bool:
        """Whether a medium's content is neither."""
        key = token_key(self._known.fingerprint, one.read_as, one.unit, one.data)
        if key in self._known.learned:
            self.learned += 1
        elif key in self._seen:
            self.copies += 1
        else:
            self._seen.add(key)
            return True
        return False

    def left_out(self, found: Suggested, set_aside: Sequence[Quarantined]) -> Suggested:
        """What was found of those that are new, with what became of the others."""
        return Suggested(found.chosen, found.learned + self.learned, self.copies, tuple(set_aside))


def suggest(
    model: Model,
    media: Sequence[Whole],
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
    unit, shown, known = model.unit(depth_unit), progress or Silent(), Known(model)
    contents = Contents(known)
    new: list[Whole] = []
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
    for answer, reader in zip(
        model.answers(new, modality, GUESSES, shown, depth_unit=depth_unit), read_as, strict=True
    ):
        if answer.problem is None:
            asked.append(Asked(answer, reader))
        else:
            set_aside.append(Quarantined(answer.medium, answer.problem))
    return contents.left_out(known.first(asked, count), set_aside)


def check_count(count: int) -> None:
    """RemodalError where so many can't be chosen."""
    if count < 1:
        raise RemodalError(f"found {count} to be labelled first; valid: 1 or more")


def _unlike(features: Tensor, known: Tensor) -> Tensor:
    """Which of them are no known item's features, bool ``[n]``."""
    if not len(known):
        return torch.ones(len(features), dtype=torch.bool)
    own, others = functional.normalize(features, dim=1), functional.normalize(known, dim=1)
    return (2 - 2 * own @ others.T).amin(1) > SAME
