"""What a model has learned, once more: its tasks from stored features, without some of their items."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from remodal.backbones import Backbone
from remodal.errors import RemodalError
from remodal.features.entries import features_key
from remodal.features.extract import NeedsTokens, features_alone
from remodal.features.store import FeatureStore
from remodal.methods.base import TaskData
from remodal.saved.description import Source
from remodal.saved.learned import Learned
from remodal.streams.base import Column


@dataclass(frozen=True)
class Again:
    """What was learned, and where the features are. needs_tokens: of who learns."""

    learned: Learned
    backbone: Backbone
    store: FeatureStore
    needs_tokens: NeedsTokens

    def tasks(self, kept: Tensor) -> Iterator[tuple[TaskData, Source]]:
        """In their order, those that have items left; kept: bool ``[n]``, of ``learned.items``.

        Raises:
            RemodalError: Not all items are known, they aren't stored any more, or none is left.
        """
        items, of = self.learned.items, self.learned.items.sources
        self.learned.check_noted()
        if not kept.any():
            raise RemodalError("nothing that it has learned would be left; valid: to remove the model's folder")
        self._check_stored(kept)
        tasks = 0
        for at, source in enumerate(self.learned.sources):
            rows = (kept & (of == at)).nonzero()[:, 0]
            if len(rows):
                yield self._task(tasks, source, items.columns[rows].long(), items[rows].named()), source
                tasks += 1

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

    def _task(self, index: int, source: Source, columns: Tensor, keys: list[bytes]) -> TaskData:
        there = set(columns.tolist())
        places = [self.learned.columns.index(Column(source.modality, name)) for name in source.classes]
        left = [place for place in places if place in there]
        labels = torch.tensor([left.index(place) for place in columns.tolist()], device=self.backbone.engine.home)
        tower = self.backbone.reads[source.modality]
        stored = self._stored_under(tower, keys)
        lengths = self.store.lengths(stored)
        tokens = self.store.tokens(tower, keys, [lengths[key] for key in stored], features_alone=tower in self._alone)
        return TaskData(index, tuple(self.learned.columns[place] for place in left), tokens, labels)
