"""A few held-out items a class that stay with a model, as frozen tokens, so that every version can be measured.

No method learns from them. They tell what learning on did to what was learned before, wherever the model is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import torch

from remodal.backbones import Backbone, Tokens
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

    def added(self, modality: str, tokens: Tokens, labels: Sequence[str]) -> HeldOut:
        """With these items too, as far as their classes have room; a class's are taken spread over those given."""
        before = self.kept.get(modality)
        counts = Counter(() if before is None else before.labels)
        by_class: dict[str, list[int]] = {}
        for at, label in enumerate(labels):
            by_class.setdefault(label, []).append(at)
        chosen = [at for name, own in by_class.items() for at in spread(own, PER_CLASS - counts[name])]
        if not chosen:
            return self
        added = [tokens[torch.tensor(chosen)]] if before is None else [before.tokens, tokens[torch.tensor(chosen)]]
        all_labels = (*(before.labels if before else ()), *(labels[at] for at in chosen))
        return HeldOut({**self.kept, modality: Kept(Tokens.concat(added), all_labels)})

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
            state.put(modality, {"frames": kept.tokens.frames, "lengths": kept.tokens.lengths})
            state.values[modality] = list(kept.labels)
        return state

    @classmethod
    def from_state(cls, state: State, backbone: Backbone, classes: Collection[Column]) -> HeldOut:
        """What :meth:`state` gave, of ``classes``; ValueError where it can't be that."""
        kept = {}
        for modality, labels in state.values.items():
            if not {Column(modality, label) for label in labels} <= set(classes):
                raise ValueError("held-out items of a class that the model doesn't know")
            tensors = state.under(modality)
            frames, lengths = tensors["frames"], tensors["lengths"]
            if lengths.shape != (len(labels),) or lengths.dtype != torch.int64 or not len(labels):
                raise ValueError("held-out items: their labels and lengths don't fit")
            if frames.dtype not in (torch.uint8, torch.float16) or not frames.isfinite().all():
                raise ValueError("held-out items: their tokens are neither bytes nor numbers in half precision")
            # the least first: a sum of huge lengths may come round to the right one
            if lengths.min() < 1 or lengths.max() > len(frames) or lengths.sum() != len(frames):
                raise ValueError("held-out items: their lengths and frames don't fit")
            kept[modality] = Kept(Tokens(backbone.tower(modality).name, frames, lengths), tuple(labels))
        return cls(kept)
