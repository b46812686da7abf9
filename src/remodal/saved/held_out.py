"""A few held-out items a class that stay with a model, so that every version can be measured.

They are stored as its method asks for them: as frozen tokens, or as frozen features where it needs no more.

No method learns from them. They tell what learning on did to what was learned before, wherever the model is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor

from remodal.backbones import Backbone, StoredTokens, Tokens, Tower
from remodal.learning.predictions import Predictions
from remodal.learning.prepare import BATCH
from remodal.methods.base import Method, State
from remodal.saved.description import Measured
from remodal.streams.base import Column
from remodal.streams.subsets import spread

PER_CLASS = 5
"""Items that are kept of a class: 12 MB for the 82 classes of ``everyday``, most of it of video."""


class Kept(NamedTuple):
    """Items of one modality. labels: one an item."""

    tokens: Tokens
    labels: tuple[str, ...]


@dataclass(frozen=True)
class HeldOut:
    """Held-out items by modality."""

    kept: Mapping[str, Kept] = field(default_factory=dict)

    def __len__(self) -> int:
        return sum(len(one.labels) for one in self.kept.values())

    def counts(self, modality: str) -> Counter[str]:
        """How many items there are of each class of a modality."""
        return Counter(self.kept[modality].labels if modality in self.kept else ())

    def added(self, modality: str, tokens: Tokens, labels: Sequence[str]) -> HeldOut:
        """With these items too, as far as their classes have room; a class's are taken spread over those given."""
        before = self.kept.get(modality)
        counts = self.counts(modality)
        by_class: dict[str, list[int]] = {}
        for at, label in enumerate(labels):
            by_class.setdefault(label, []).append(at)
        chosen = [at for name, own in by_class.items() for at in spread(own, PER_CLASS - counts[name])]
        if not chosen:
            return self
        added = [tokens[torch.tensor(chosen)]] if before is None else [before.tokens, tokens[torch.tensor(chosen)]]
        all_labels = (*(before.labels if before else ()), *(labels[at] for at in chosen))
        return HeldOut({**self.kept, modality: Kept(Tokens.concat(added), all_labels)})

    def merged(self, other: HeldOut, base: HeldOut) -> HeldOut:
        """With the items of ``other`` too, as far as there is room; those of ``base``, which both have, count once."""
        found = self
        for modality, kept in other.kept.items():
            both = base.kept.get(modality)
            # what came later stands behind
            own = torch.arange(0 if both is None else len(both.labels), len(kept.labels))
            if len(own):
                found = found.added(modality, kept.tokens[own], kept.labels[int(own[0]) :])
        return found

    def of(self, known: Collection[Column]) -> HeldOut:
        """Those of these classes."""
        return self.without(
            {
                modality: torch.tensor([Column(modality, name) not in known for name in kept.labels])
                for modality, kept in self.kept.items()
            }
        )

    def without(self, rows: Mapping[str, Tensor]) -> HeldOut:
        """All but some. rows: by modality, bool ``[m]``."""
        found = {}
        for modality, kept in self.kept.items():
            own = (~rows[modality]).nonzero()[:, 0]
            if len(own):
                found[modality] = Kept(kept.tokens[own], tuple(kept.labels[at] for at in own.tolist()))
        return HeldOut(found)

    def within(self, modalities: Collection[str]) -> HeldOut:
        """Those of some modalities alone."""
        return HeldOut({modality: kept for modality, kept in self.kept.items() if modality in modalities})

    def relabelled(self, rows: Mapping[str, Tensor], name: str) -> HeldOut:
        """With some as items of the class ``name``, as far as it has room for them. rows: see :meth:`without`."""
        found = self.without(rows)
        for modality, kept in self.kept.items():
            own = rows[modality].nonzero()[:, 0]
            if len(own):
                found = found.added(modality, kept.tokens[own], [name] * len(own))
        return found

    def holding(self, tokens: Tokens) -> dict[str, Tensor]:
        """Which items hold the same as ``tokens``, of one item, to the bit: by modality, bool ``[m]``."""
        wanted, found = tokens.content.cpu(), {}
        for modality, kept in self.kept.items():
            alike = [
                kept.tokens.tower == tokens.tower and kept.tokens[at : at + 1].content.cpu().equal(wanted)
                for at in range(len(kept.labels))
            ]
            found[modality] = torch.tensor(alike)
        return found

    def accuracy(self, method: Method, seen: Sequence[Column]) -> dict[str, Measured]:
        """Accuracies by modality, among the classes ``seen``."""
        return {modality: self._measured(modality, method, seen) for modality in self.kept}

    def _measured(self, modality: str, method: Method, seen: Sequence[Column]) -> Measured:
        kept = self.kept[modality]
        with torch.inference_mode():
            scores = torch.cat([method.scores(batch, seen) for batch in kept.tokens.batches(BATCH)]).cpu()
        truth = tuple(Column(modality, label) for label in kept.labels)
        own = [seen.index(column) for column in set(truth)]
        if scores[:, own].isnan().any():
            return Measured(items=len(truth), aware=None, agnostic=None)
        found = Predictions(tuple(seen), ("",) * len(truth), (0,) * len(truth), truth, scores)
        aware, agnostic = (
            sum(answer.name == right.name for answer, right in zip(answers, truth, strict=True)) / len(truth)
            for answers in (found.aware, found.agnostic)
        )
        return Measured(items=len(truth), aware=aware, agnostic=agnostic)

    def state(self) -> State:
        """As plain data."""
        state = State()
        for modality, kept in self.kept.items():
            tokens, lengths = kept.tokens, {"lengths": kept.tokens.lengths}
            if tokens.has_frames:
                state.put(modality, {"frames": tokens.frames, **lengths})
            else:
                assert tokens.features is not None
                state.put(modality, {"features": tokens.features, **lengths})
            state.values[modality] = list(kept.labels)
        return state

    @classmethod
    def from_state(cls, state: State, backbone: Backbone, classes: Collection[Column]) -> HeldOut:
        """What :meth:`state` gave, of ``classes``; ValueError where it can't be that."""
        kept = {}
        for modality, labels in state.values.items():
            if not {Column(modality, label) for label in labels} <= set(classes):
                raise ValueError("held-out items of a class that the model doesn't know")
            tensors, tower = state.under(modality), backbone.tower(modality)
            lengths = tensors["lengths"]
            if lengths.shape != (len(labels),) or lengths.dtype != torch.int64 or not len(labels):
                raise ValueError("held-out items: their labels and lengths don't fit")
            if "features" in tensors:
                kept[modality] = Kept(_of_features(tensors["features"], lengths, tower), tuple(labels))
                continue
            frames = tensors["frames"]
            if frames.dtype not in (torch.uint8, torch.float16) or not frames.isfinite().all():
                raise ValueError("held-out items: their tokens are neither bytes nor numbers in half precision")
            # the least first: a sum of huge lengths may come round to the right one
            if lengths.min() < 1 or lengths.max() > len(frames) or lengths.sum() != len(frames):
                raise ValueError("held-out items: their lengths and frames don't fit")
            kept[modality] = Kept(Tokens(tower.name, frames, lengths), tuple(labels))
        return cls(kept)


def _of_features(features: Tensor, lengths: Tensor, tower: Tower) -> Tokens:
    """ValueError where they can't be frozen features of this tower."""
    width = tower.encoder.feature_width + tower.encoder.identity_width
    if not tower.encoder.keeps_features or features.shape != (len(lengths), width) or lengths.min() < 1:
        raise ValueError("held-out items: their features don't fit the frozen model")
    if features.dtype != torch.float16 or not features.isfinite().all():
        raise ValueError("held-out items: their features are no numbers in half precision")
    return StoredTokens.of_features(tower.name, lengths, features)
