"""What a model has learned, once more: its tasks from stored features, without some of their items."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from remodal.backbones import Backbone
from remodal.errors import RemodalError
from remodal.features.entries import features_key
from remodal.features.extract import NeedsTokens
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
        wanted = [
            features_key(key) if self._features_alone(reads[modality]) else key
            for key, modality in zip(items.named(), modalities, strict=True)
        ]
        self.store.bring(wanted)
        if gone := len(self.store.absent(wanted)):
            raise RemodalError(
                f"found the features of {gone:,} of {len(wanted):,} items no longer in the cache {self.store.path}; "
                "valid: to have them computed again from their files: --data FOLDER"
            )

    def _features_alone(self, tower: str) -> bool:
        one = self.backbone.towers[tower]
        return one.encoder.keeps_features and not self.needs_tokens(one)

    def _task(self, index: int, source: Source, columns: Tensor, keys: list[bytes]) -> TaskData:
        there = set(columns.tolist())
        places = [self.learned.columns.index(Column(source.modality, name)) for name in source.classes]
        left = [place for place in places if place in there]
        labels = torch.tensor([left.index(place) for place in columns.tolist()], device=self.backbone.engine.home)
        tower = self.backbone.reads[source.modality]
        alone = self._features_alone(tower)
        lengths = self.store.lengths([features_key(key) if alone else key for key in keys])
        frames = [lengths[features_key(key) if alone else key] for key in keys]
        tokens = self.store.tokens(tower, keys, frames, features_alone=alone)
        return TaskData(index, tuple(self.learned.columns[place] for place in left), tokens, labels)
