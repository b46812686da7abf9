"""Joint training: all items seen so far, at once. The upper bound.

Every task's items are kept, and the modality of the new task is fitted again from the start on all of them, with the
head of ``remodal``: the centre is the mean of all items instead of the first task's, and nothing of the Gram matrix is
cut off up to ``rank`` items. So the difference between the two is what remembering by statistics costs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import cast

import torch
from pydantic import Field
from torch import Tensor

from remodal.adaptation.ridge import LowRankRidge
from remodal.backbones import StoredTokens, Tokens, Tower
from remodal.methods.base import State, TaskData, methods
from remodal.methods.remodal import Modality, Regressions, Remodal, RemodalSettings
from remodal.streams.base import Column
from remodal.training.trainer import Trainer


class JointSettings(RemodalSettings):
    """Settings of ``joint``."""

    names: float = Field(0.25, ge=0, description="share of what speaks for a class that speaks for near names too")
    rank: int = Field(
        2048, ge=1, le=100_000, description="directions of a modality's Gram matrix: of so many items, all"
    )


@dataclass
class Kept:
    """All items of a modality. frames, lengths, features: as of ``Tokens``; frames or features are empty, ``[0]``.

    labels: positions in the modality's columns.
    """

    frames: Tensor
    lengths: Tensor
    features: Tensor
    labels: Tensor

    @classmethod
    def earlier(cls, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        """Before there could be features without frames."""
        return {"features": torch.zeros(0), **tensors}

    def tokens(self, tower: str) -> Tokens:
        """Of the items, which this tower read."""
        if self.features.numel():
            return StoredTokens.of_features(tower, self.lengths, self.features)
        return Tokens(tower, self.frames, self.lengths)


@dataclass
class KeptRegressions(Regressions):
    """Regressions, and the items of each modality, in the order of ``modalities``."""

    identity: LowRankRidge
    router: Tensor
    modalities: list[Modality]
    kept: list[Kept]


@methods.add("joint")
class Joint(Remodal):
    """Keeps everything, and fits the new task's modality again after each task."""

    options = JointSettings
    part = KeptRegressions
    keeps_items = True

    def restore(self, state: State) -> None:
        """Take on what :meth:`state` gave; the items' tokens lie on the CPU, as all tokens do."""
        super().restore(state)
        for part in self.parts_.values():
            mine = cast(KeptRegressions, part)
            mine.kept = [
                replace(one, frames=one.frames.cpu(), lengths=one.lengths.cpu(), features=one.features.cpu())
                for one in mine.kept
            ]

    def fresh(self, tower: Tower, task: TaskData, trainer: Trainer) -> Regressions:
        """No modality and no item yet."""
        empty = super().fresh(tower, task, trainer)
        return KeptRegressions(empty.identity, empty.router, [], [])

    def learned(self, part: Regressions, tower: Tower, task: TaskData, trainer: Trainer) -> Regressions:
        """Keep the task's items, then fit its modality to all there are, as if they were one task."""
        part = cast(KeptRegressions, part)
        at = part.place(task.modality)
        old = part.modalities[at].columns if at < len(part.modalities) else []
        mine = kept(part.kept[at] if at < len(part.kept) else None, task, old)
        part = replace(part, kept=[*part.kept[:at], mine, *part.kept[at + 1 :]])
        return super().learned(part, tower, task, trainer)

    def fitted(self, part: Regressions, tower: Tower, task: TaskData, trainer: Trainer) -> Modality:
        """The task's modality, fitted to all items of it from the start."""
        at = part.place(task.modality)
        mine = cast(KeptRegressions, part).kept[at]
        before = part.modalities[at] if at < len(part.modalities) else None
        columns, _ = task.among(before.columns if before else [])
        names = tuple(column.name for column in columns)
        whole = replace(task, classes=names, tokens=mine.tokens(tower.name), labels=mine.labels)
        fresh = self.fresh_modality(tower, whole, self.adapted(part, tower, whole, trainer))
        fitted = self.extended(replace(fresh, near=before.near) if before else fresh, tower, whole)
        return replace(fitted, moments=LowRankRidge.empty(0))  # the items are all that the next fit needs


def kept(before: Kept | None, task: TaskData, columns: Sequence[Column]) -> Kept:
    """``before``, whose labels are positions in ``columns``, and the task's items."""
    _, labels = task.among(columns)
    tokens, nothing = task.tokens, torch.zeros(0, device="cpu")
    if tokens.has_frames:
        new = Kept(tokens.frames, tokens.lengths, nothing, labels)
    else:
        assert tokens.features is not None
        new = Kept(nothing, tokens.lengths, tokens.features, labels)
    if before is None:
        return new
    return Kept(*(torch.cat([getattr(one, field.name) for one in (before, new)]) for field in fields(Kept)))
