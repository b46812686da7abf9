"""What a person labels on the page: files one after the other, and the names that have a key for each."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace

from remodal.errors import RemodalError
from remodal.streams.labels import checked_label
from remodal.suggesting import GUESSES, Suggestion

OWN = 4
"""Of the keys, those that stand for the names typed last, where the model guesses none of them."""


@dataclass(frozen=True)
class Card:
    """A file to be labelled. path: where it was dropped. guesses: names of classes, best first."""

    path: str
    read_as: str
    guesses: tuple[str, ...]
    why: str
    like: int

    @classmethod
    def of(cls, path: str, one: Suggestion) -> Card:
        """The guesses of its own modality first."""
        best = sorted(one.answer.best, key=lambda guess: guess.modality != one.read_as)
        return cls(path, one.read_as, tuple(dict.fromkeys(guess.label for guess in best)), one.why, one.like)


@dataclass(frozen=True)
class Sheet:
    """What a person labels. labels: of the first cards, None where one was skipped. typed: names, the last first."""

    cards: tuple[Card, ...]
    depth_unit: str
    labels: tuple[str | None, ...] = ()
    typed: tuple[str, ...] = ()

    @property
    def card(self) -> Card | None:
        """The one to be labelled now; None when all are through."""
        return self.cards[len(self.labels)] if len(self.labels) < len(self.cards) else None

    @property
    def offered(self) -> tuple[str, ...]:
        """Names that have a key."""
        if self.card is None:
            return ()
        own = [name for name in self.typed if name not in self.card.guesses[: GUESSES - OWN]][:OWN]
        return tuple(dict.fromkeys([*self.card.guesses[: GUESSES - len(own)], *own]))

    @property
    def labelled(self) -> list[tuple[str, str]]:
        """Path and label of each that has one."""
        pairs = zip(self.cards, self.labels, strict=False)
        return [(card.path, label) for card, label in pairs if label is not None]

    def with_label(self, label: str | None) -> Sheet:
        """With a label for the card; as it is where there is no card left."""
        return self if self.card is None else replace(self, labels=(*self.labels, label))

    def skipped(self) -> Sheet:
        """Without one for the card."""
        return self.with_label(None)

    def with_offered(self, key: int) -> Sheet:
        """With the label of a key, counted from 0."""
        return self.with_label(self.offered[key]) if key < len(self.offered) else self

    def with_name(self, name: str) -> Sheet:
        """With a label that was typed. Raises RemodalError where it can't be one."""
        label = checked_label(name, "label")
        known = tuple(one for one in self.typed if one != label)
        return replace(self, typed=(label, *known)).with_label(label)

    def back(self) -> Sheet:
        """Without the last label."""
        return replace(self, labels=self.labels[:-1])

    def keep(self) -> None:
        """Have its files not cleared away while it is open. Raises RemodalError where one is gone."""
        for card in self.cards:
            try:
                os.utime(card.path)
            except OSError:
                raise RemodalError("the files are there no longer; drop them on the page again") from None
