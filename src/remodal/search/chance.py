"""Whether what a search finds is nearer than what is found by chance.

Something is always nearest. How near it is says little by itself: sentences lie farther from everything than names do,
and some indices hold files that are all alike. So an index tells of itself. Its classes' names, and its own files, are
searched for among the files of *other* classes, which finds chance matches, and among all, which finds right ones. Two
measures of a match are its nearness, and how far it stands out (in standard deviations of the nearest files of the
classes). They are weighted by Fisher's linear discriminant between the two kinds. A match is sure where it is above the
bound that at most a tenth of the chance matches pass (split conformal prediction: Papadopoulos et al., ECML 2002).
Words and each modality of queries have a bound of their own, and for a medium that is unlike anything learned nothing
is sure. How it was chosen stands in ``docs/experiments.md``.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from math import ceil
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from remodal.answering import Answer
from remodal.errors import BadItem
from remodal.model import Model
from remodal.search.index import Index
from remodal.search.rows import Hit, Places

PASSING = 0.1
"""Share of chance matches that are taken for sure, at most."""
PHRASES = ("{}", "a photo of a {}", "some {}s")
"""In which words a class is searched for."""
NAMES, QUERIES = 100, 300
"""Classes, and files and windows of a modality, that are searched for at most."""
NOTHING = -1.0
"""Nearness of what isn't there."""
WORDS = "words"
"""The kind of a query that is no medium; others are modalities."""
FILES = 20_000
"""That stand for all of a larger index, windows too: 30 MB."""

Vectors = NDArray[np.float32]
Numbers = NDArray[np.float64]


class Query(NamedTuple):
    """What is searched for. kind: ``words``, or the modality of a medium. place: ``[d]`` in the text space. unfamiliar:
    whether it is unlike anything that the model has learned.
    """

    kind: str
    place: Vectors
    unfamiliar: bool = False

    @classmethod
    def of_words(cls, words: str, model: Model) -> Self:
        """Words, as names of classes are read."""
        return cls(WORDS, model.embed_words(words))

    @classmethod
    def of_medium(cls, answer: Answer) -> Self:
        """A medium, by what a model says of it. Raises BadItem where it couldn't be answered."""
        if answer.place is None:
            raise BadItem(answer.medium, answer.problem or "")
        return cls(answer.modality, answer.place, answer.unfamiliar)


@dataclass(frozen=True)
class Bound:
    """weights: of a match's nearness, and of how far it stands out. least: of their sum, above which it is sure."""

    weights: Numbers
    least: float


class Chance:
    """What chance finds in an index.

    places: of its files, or of a random part of them. embedded: the place of words ``[d]``. among: the modalities that
    are searched; all, if none is named.
    """

    def __init__(self, places: Places, embedded: Callable[[str], Vectors], among: Collection[str] = ()) -> None:
        labels, self._modalities = np.asarray(places.labels), np.asarray(places.modalities)
        _, self._file_of = np.unique(np.asarray(places.files), return_inverse=True)
        searched = np.isin(self._modalities, list(among)) if among else np.ones(len(labels), dtype=bool)
        files = np.flatnonzero(searched)[np.argsort(labels[searched], kind="stable")]
        self._all, self._vectors, self._files = places.vectors, places.vectors[files], files
        self._classes, self._starts = np.unique(labels[files], return_index=True)
        self._own = np.array([self._place(label) for label in labels], dtype=np.intp)
        self._embedded = embedded
        self._bounds: dict[str, Bound | None] = {}

    @classmethod
    def within(cls, index: Index, model: Model, among: Collection[str] = ()) -> Self:
        """In an index as it is now."""
        return cls(index.places(FILES), model.embed_words, among)

    def marked(self, query: Query, hits: Sequence[Hit]) -> list[Hit]:
        """What was found for a query, each with whether it is sure; None where the index has too little to say."""
        if query.unfamiliar:
            return [hit._replace(sure=False) for hit in hits]
        bound = self._bound(query.kind) if hits else None
        if bound is None:
            return list(hits)
        nearest = self._nearest(query.place[None] @ self._vectors.T)[0]
        found = np.array([hit.nearness for hit in hits])
        scores = _measures(found, nearest.mean(), nearest.std()) @ bound.weights
        return [hit._replace(sure=bool(score > bound.least)) for hit, score in zip(hits, scores, strict=True)]

    def _bound(self, kind: str) -> Bound | None:
        """Of a kind of query, made when it is first asked for; None where there is too little to say."""
        if kind not in self._bounds:
            found = (self._of_words() if kind == WORDS else self._of_media(kind)) if len(self._classes) > 2 else None
            self._bounds[kind] = found
        return self._bounds[kind]

    def _of_words(self) -> Bound | None:
        step = ceil(len(self._classes) / NAMES)
        chosen = np.arange(0, len(self._classes), step)
        places = [self._embedded(phrase.format(self._classes[at])) for phrase in PHRASES for at in chosen]
        cosines = np.stack(places) @ self._vectors.T
        return _bound(self._nearest(cosines), np.tile(chosen, len(PHRASES)))

    def _of_media(self, modality: str) -> Bound | None:
        rows = np.flatnonzero(self._modalities == modality)
        if not len(rows):
            return None
        rows = self._spread(rows)
        cosines = self._all[rows] @ self._vectors.T
        cosines[self._file_of[rows][:, None] == self._file_of[self._files]] = NOTHING  # a file finds itself
        return _bound(self._nearest(cosines), self._own[rows])

    def _spread(self, rows: NDArray[np.intp]) -> NDArray[np.intp]:
        """Those of some rows that are searched for: of every file one, before any has a second one."""
        firsts = np.sort(rows[np.unique(self._file_of[rows], return_index=True)[1]])
        if len(firsts) >= QUERIES:
            return firsts[:: ceil(len(firsts) / QUERIES)]
        return np.append(firsts, np.setdiff1d(rows, firsts)[: QUERIES - len(firsts)])

    def _place(self, label: str) -> int:
        """Of a class among those of the files that are searched; -1 where none is of it."""
        at = int(np.searchsorted(self._classes, label))
        return at if at < len(self._classes) and self._classes[at] == label else -1

    def _nearest(self, cosines: Vectors) -> Numbers:
        """Nearness of the nearest file of each class ``[queries, classes]``."""
        return np.maximum.reduceat(cosines, self._starts, axis=1).astype(np.float64)


def _bound(nearest: Numbers, own: NDArray[np.intp]) -> Bound | None:
    """From what queries find of each class ``[queries, classes]``, whose own is known; None where they are too few.

    own: int ``[queries]``, -1 where no file is of a query's class, which then finds chance matches alone. What has no
    match in a class, since that is in its own file alone, isn't measured there.
    """
    is_own = np.arange(nearest.shape[1]) == own[:, None]
    nearest = np.where((nearest <= NOTHING) & ~is_own, np.nan, nearest)
    others = np.where(is_own, np.nan, nearest)
    measured = ~np.isnan(others).all(axis=1)
    nearest, others, own = nearest[measured], others[measured], own[measured]
    rank, answered = ceil((len(own) + 1) * (1 - PASSING)), own >= 0
    if rank > len(own) or answered.sum() < 2:
        return None
    chance = _measures(np.nanmax(others, axis=1), np.nanmean(others, axis=1), np.nanstd(others, axis=1))
    found = nearest[answered]
    right = _measures(np.nanmax(found, axis=1), np.nanmean(found, axis=1), np.nanstd(found, axis=1))
    spread = np.cov(chance.T) + np.cov(right.T)
    weights = np.linalg.solve(spread + 1e-9 * np.eye(2), right.mean(axis=0) - chance.mean(axis=0))
    return Bound(weights, float(np.sort(chance @ weights)[rank - 1]))


def _measures(nearness: Numbers, mean: Numbers | float, deviation: Numbers | float) -> Numbers:
    """How near matches are, and how far they stand out ``[n, 2]``. mean, deviation: of the nearest of each class."""
    return np.stack([nearness, (nearness - mean) / np.maximum(deviation, 1e-6)], axis=1)
