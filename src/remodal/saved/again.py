"""What a model has learned, once more: its tasks from stored features, without some items or under other names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor

from remodal.backbones import Backbone
from remodal.errors import RemodalError
from remodal.features.entries import features_key, token_key
from remodal.features.extract import NeedsTokens, extract, features_alone
from remodal.features.source import Encoded
from remodal.features.store import FeatureStore, KeyedTokens
from remodal.methods.base import TaskData
from remodal.modalities.depth import METRES
from remodal.saved.description import Source
from remodal.saved.learned import Learned
from remodal.saved.marked import Marked
from remodal.streams.base import Column
from remodal.streams.subsets import spread


class Change(NamedTuple):
    """As what items are learned again. kept: bool ``[n]``, those that are. columns: all classes, the known ones first.
    places: int64 ``[n]``, the items' classes from now on.
    """

    kept: Tensor
    columns: tuple[Column, ...]
    places: Tensor

    @classmethod
    def without(cls, learned: Learned, marked: Marked) -> Change:
        """Marked items aren't learned."""
        return cls(~marked.learned, learned.columns, learned.items.columns.long())

    @classmethod
    def relabelled(cls, learned: Learned, marked: Marked, name: str) -> Change:
        """Marked items are of the class ``name`` of their modality."""
        now = {at: Column(one.modality, name) for at, one in enumerate(learned.columns)}
        places = learned.items.columns.long().clone()
        columns = tuple(dict.fromkeys([*learned.columns, *(now[at] for at in places[marked.learned].tolist())]))
        places[marked.learned] = torch.tensor(
            [columns.index(now[at]) for at in places[marked.learned].tolist()], dtype=torch.int64
        )
        return cls(torch.ones_like(marked.learned), columns, places)


@dataclass(frozen=True)
class Again:
    """What was learned, and where the features are. needs_tokens: of who learns."""

    learned: Learned
    backbone: Backbone
    store: FeatureStore
    needs_tokens: NeedsTokens

    def tasks(self, change: Change) -> Iterator[tuple[TaskData, Source]]:
        """In their order, those that have items left.

        A class that a task didn't have stands in it behind the one that the first of its items leaves: where all items
        of a class are renamed, in its place.

        Raises:
            RemodalError: Not all items are known, they aren't stored any more, or none is left.
        """
        items, of = self.learned.items, self.learned.items.sources
        self.learned.check_noted()
        if not change.kept.any():
            raise RemodalError("nothing that it has learned would be left; valid: to remove the model's folder")
        self._check_stored(change.kept)
        tasks = 0
        for at, source in enumerate(self.learned.sources):
            rows = (change.kept & (of == at)).nonzero()[:, 0]
            if len(rows):
                places = self._classes(source, items.columns[rows].tolist(), change, rows)
                yield self._task(tasks, source.modality, places, change, rows), source
                tasks += 1

    def holding(self, medium: Encoded) -> Marked:
        """The items that hold the same as ``medium``, however they were read.

        Of those that were learned the key is known; those that are held out are told by what the store has of them.
        """
        extract([medium], self.backbone, self.store, needs_tokens=self.needs_tokens)
        data, marked = medium.read(), Marked.none(self.learned)
        for modality, tower in self.backbone.reads.items():
            for unit in (None, *METRES):
                key = token_key(self.backbone.fingerprint, modality, unit, data)
                marked |= Marked(self.learned.items.having(key), self._held_out(tower, key))
        return marked

    def still_stored(self, most: int) -> Iterator[KeyedTokens]:
        """Of each tower, what the store still has of the items that were learned; ``most`` of them, evenly spaced."""
        items, reads = self.learned.items, self.backbone.reads
        towers = [reads[self.learned.columns[at].modality] for at in items.columns.tolist()]
        for tower in dict.fromkeys(towers):
            own = [key for key, of in zip(items.named(), towers, strict=True) if of == tower]
            keys = spread(own, most)
            stored = self._stored_under(tower, keys)
            self.store.bring(stored)
            lengths = self.store.lengths(stored)
            if there := [(key, lengths[name]) for key, name in zip(keys, stored, strict=True) if name in lengths]:
                yield self.store.tokens(tower, *zip(*there, strict=True), features_alone=tower in self._alone)

    def _held_out(self, tower: str, key: bytes) -> Mapping[str, Tensor]:
        """Which of the items that are held out hold what is stored under a key, if anything is."""
        stored = self._stored_under(tower, [key])
        self.store.bring(stored)
        if not (lengths := self.store.lengths(stored)):
            return Marked.none(self.learned).held_out
        tokens = self.store.tokens(tower, [key], [*lengths.values()], features_alone=tower in self._alone)
        return self.learned.held_out.holding(tokens)

    def _check_stored(self, kept: Tensor) -> None:
        items, reads = self.learned.items[kept], self.backbone.reads
        modalities = [self.learned.columns[at].modality for at in items.columns.tolist()]
        named = zip(items.named(), modalities, strict=True)
        wanted = [one for key, modality in named for one in self._stored_under(reads[modality], [key])]
        self.store.bring(wanted)
        if gone := len(self.store.absent(wanted)):
            raise RemodalError(
                f"found the features of {gone:,} of {len(wanted):,} items no longer in the cache {self.store.path}; "
                "valid: to have them computed again from their files: --data FOLDER"
            )

    def _stored_under(self, tower: str, keys: list[bytes]) -> list[bytes]:
        return [features_key(key) for key in keys] if tower in self._alone else keys

    @cached_property
    def _alone(self) -> frozenset[str]:
        return features_alone(self.backbone, self.needs_tokens)

    def _classes(self, source: Source, before: Sequence[int], change: Change, rows: Tensor) -> list[int]:
        """Places of a task's classes, in their order. before: places of its items' classes until now."""
        now = change.places[rows].tolist()
        places = [change.columns.index(Column(source.modality, name)) for name in source.classes]
        for old, new in zip(before, now, strict=True):
            if new not in places:
                places.insert(places.index(old) + 1, new)
        there = set(now)
        return [place for place in places if place in there]

    def _task(self, index: int, modality: str, places: list[int], change: Change, rows: Tensor) -> TaskData:
        at = {place: label for label, place in enumerate(places)}
        labels = torch.tensor([at[place] for place in change.places[rows].tolist()], device=self.backbone.engine.home)
        tower, keys = self.backbone.reads[modality], self.learned.items[rows].named()
        stored = self._stored_under(tower, keys)
        lengths = self.store.lengths(stored)
        tokens = self.store.tokens(tower, keys, [lengths[key] for key in stored], features_alone=tower in self._alone)
        return TaskData(index, tuple(change.columns[place] for place in places), tokens, labels)
