"""Joint training: any method, fitted again to all items seen so far after each task. The upper bound of its kind.

Every item is kept. After each task a method that has learned nothing learns them all: those of each modality as one
task, or, of a method that doesn't learn modalities apart, those of each tower. A method that is trained by gradient
takes as many steps for that as for one task of a stream.

``joint-NAME`` does so with the method NAME, and has its settings. ``joint`` does so with ``remodal``, whose Gram
matrices are then not cut off up to ``rank`` items: the difference between the two is what remembering by statistics
costs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor

from remodal.adaptation.columns import joined
from remodal.backbones import Backbone, StoredTokens, Tokens, Tower
from remodal.methods.base import Method, State, TaskData, methods
from remodal.methods.parts import put_parts, taken_parts
from remodal.methods.remodal import Remodal, RemodalSettings
from remodal.settings import Settings
from remodal.streams.base import Column
from remodal.training.trainer import Trainer


@dataclass
class Kept:
    """All items of a modality. frames, lengths, features: as of ``Tokens``.

    Frames or features are empty, ``[0]``. labels: positions in ``columns``.
    """

    columns: list[Column]
    frames: Tensor
    lengths: Tensor
    features: Tensor
    labels: Tensor

    @classmethod
    def of(cls, task: TaskData) -> Kept:
        """A task's items."""
        tokens, nothing = task.tokens, torch.zeros(0, device="cpu")
        frames = tokens.frames if tokens.has_frames else nothing
        features = nothing if tokens.has_frames or tokens.features is None else tokens.features
        return cls(list(task.columns), frames, tokens.lengths, features, task.labels)

    def and_then(self, later: Kept) -> Kept:
        """These, and ``later`` ones of the same tower."""
        columns, places = joined(self.columns, later.columns)
        return Kept(
            columns,
            torch.cat([self.frames, later.frames]),
            torch.cat([self.lengths, later.lengths]),
            torch.cat([self.features, later.features]),
            torch.cat([self.labels, places[later.labels]]),
        )

    def task(self, index: int, tower: str) -> TaskData:
        """To be learned as one task, by a method's tower of this name."""
        if self.features.numel():
            tokens: Tokens = StoredTokens.of_features(tower, self.lengths, self.features)
        else:
            tokens = Tokens(tower, self.frames, self.lengths)
        return TaskData(index, tuple(self.columns), tokens, self.labels)


class JointMethod(Method):
    """Keeps all items, and learns them with ``method`` from the start after each task."""

    method: ClassVar[type[Method]]
    """What is fitted."""
    keeps_items = True
    learns_modalities_apart = False  # all are learned again

    def __init__(self, backbone: Backbone, settings: Settings, seed: int) -> None:
        super().__init__(backbone, settings, seed)
        self.kept_: dict[str, Kept] = {}
        self.fitted_ = self._fresh()

    @classmethod
    def needs_tokens(cls, settings: Settings, tower: Tower) -> bool:
        """Where the method does."""
        return cls.method.needs_tokens(settings, tower)

    def _fresh(self) -> Method:
        return self.method(self.backbone, self.settings, self.seed)

    def learn(self, task: TaskData, trainer: Trainer) -> None:
        """Keep the task's items, and learn all there are."""
        new = Kept.of(task)
        known = self.kept_.get(task.modality)
        kept = {**self.kept_, task.modality: known.and_then(new) if known else new}
        fitted = self._fresh()
        for index, (name, tower, items) in enumerate(self._groups(kept)):
            fitted.learn(items.task(index, tower), trainer.part(name))
        self.kept_, self.fitted_ = kept, fitted

    def _groups(self, kept: Mapping[str, Kept]) -> Iterator[tuple[str, str, Kept]]:
        """What is learned as one task: its name, its tower, and the items."""
        towers: dict[str, Kept] = {}
        for modality, items in kept.items():
            tower = self.backbone.reads[modality]
            if self.method.learns_modalities_apart:
                yield modality, tower, items
            else:
                towers[tower] = towers[tower].and_then(items) if tower in towers else items
        yield from ((tower, tower, items) for tower, items in towers.items())

    def scores(self, tokens: Tokens, columns: Sequence[Column]) -> Tensor:
        """The fitted method's."""
        return self.fitted_.scores(tokens, columns)

    def trainable_parameters(self) -> int:
        """The fitted method's."""
        return self.fitted_.trainable_parameters()

    def state(self) -> State:
        """All items, and what the fitted method has learned of them."""
        fitted = self.fitted_.state()
        state = State(values={"fitted": fitted.values})
        state.put("fitted", fitted.tensors)
        put_parts(state, "kept", self.kept_)
        return state

    def restore(self, state: State) -> None:
        """Take on what :meth:`state` gave; the items lie on the CPU, as all tokens do."""
        kept = taken_parts(state, "kept", Kept)
        self.kept_ = {
            name: replace(one, frames=one.frames.cpu(), lengths=one.lengths.cpu(), features=one.features.cpu())
            for name, one in kept.items()
        }
        self.fitted_.restore(State(state.under("fitted"), state.values["fitted"]))


@cache
def joint_of(method: type[Method]) -> type[Method]:
    """``joint-NAME`` of the method that is registered under NAME, with that one's settings."""
    named = {"method": method, "options": method.options, "frozen_alone": method.frozen_alone, "__doc__": __doc__}
    return type(f"Joint{method.__name__}", (JointMethod,), {**named, "__module__": __name__})


class JointSettings(RemodalSettings):
    """Settings of ``joint``."""

    rank: int = Field(
        2048, ge=1, le=100_000, description="directions of a modality's Gram matrix: of so many items, all"
    )


@methods.add("joint")
class Joint(JointMethod):
    """``remodal``, fitted to all items after each task."""

    options = JointSettings
    method = Remodal


methods.derive("joint-", joint_of)
