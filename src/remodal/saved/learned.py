"""What a model remembers of its own learning, beside what its method learned."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain

from remodal.backbones import CHUNK, Tokens
from remodal.errors import RemodalError
from remodal.learning.prepare import PreparedStream
from remodal.learning.settings import Features
from remodal.methods.base import Method, TaskData
from remodal.saved.description import About, Source, cleaned, valid
from remodal.saved.held_out import HeldOut
from remodal.saved.items import Items
from remodal.streams.base import Column


@dataclass(frozen=True)
class Learned:
    """Classes in the order in which they came, where they came from, and items held out to measure with.

    items: those that it has learned, as far as a store had them. lineage: by modality, a hash over all that was learned
    of it, in order: two models of one kind with the same lineage have learned the same. tasks: how often there was
    something to learn. depth_unit: of the first depth files. arrived: see
    :class:`~remodal.saved.description.About`.
    """

    columns: tuple[Column, ...] = ()
    sources: tuple[Source, ...] = ()
    lineage: Mapping[str, str] = field(default_factory=dict)
    tasks: int = 0
    held_out: HeldOut = field(default_factory=HeldOut)
    depth_unit: str | None = None
    arrived: str | None = None
    items: Items = field(default_factory=Items)

    def after(self, data: TaskData, origin: str, licences: Sequence[str] = (), unit: str | None = None) -> Learned:
        """With what was learned from ``data``. origin: where its items come from, in words. unit: that they state."""
        with valid("what was learned can't be described"):
            source = Source(
                modality=data.modality,
                classes=data.classes,
                items=len(data.labels),
                origin=cleaned(origin),
                licences=tuple(cleaned(licence) for licence in licences),
            )
        columns = tuple(dict.fromkeys([*self.columns, *data.columns]))
        return replace(
            self,
            columns=columns,
            items=self.items.learned(data, columns, len(self.sources)),
            sources=(*self.sources, source),
            lineage={**self.lineage, data.modality: _chained(self.lineage.get(data.modality, ""), data)},
            tasks=self.tasks + 1,
            # a unit that came later would be a new meaning for files that were read without one until then
            depth_unit=unit if data.modality == "depth" and "depth" not in self.lineage else self.depth_unit,
        )

    def holding(self, modality: str, tokens: Tokens, labels: Sequence[str]) -> Learned:
        """With held-out items of classes that are known, as far as there is room for them."""
        return replace(self, held_out=self.held_out.added(modality, tokens, labels))

    def check_noted(self) -> None:
        """RemodalError where it isn't known of all that was learned which items these were."""
        for at, source in enumerate(self.sources):
            if (known := int((self.items.sources == at).sum())) != source.items:
                raise RemodalError(
                    f"found {known:,} of {source.items:,} items noted that it learned from {source.origin}; "
                    "valid: a model all of which was learned from files, by this version or a later one"
                )

    def pooled(self, origin: str) -> Learned:
        """With all that came from ``origin`` as one source a modality and licence: a year has very many."""
        found: dict[object, Source] = {}
        places: dict[int, int] = {}
        for number, one in enumerate(self.sources):
            key = (one.modality, one.licences) if one.origin == origin else number
            before = found.get(key)
            places[number] = list(found).index(key) if before else len(found)
            if before is not None:
                classes = tuple(dict.fromkeys([*before.classes, *one.classes]))
                one = before.model_copy(update={"classes": classes, "items": before.items + one.items})
            found[key] = one
        same = {place: place for place in range(len(self.columns))}
        return replace(self, sources=tuple(found.values()), items=self.items.placed(same, places))

    def merged(self, other: Learned, base: Learned) -> Learned:
        """Of two models that began from one, which had learned ``base``.

        Raises:
            RemodalError: They didn't begin so, or the same files were in other units of depth.
        """
        begun = len(base.sources)
        if not (base.sources == self.sources[:begun] == other.sources[:begun]):
            raise RemodalError("the model that both shall have begun from has learned something that they haven't")
        units = {one.depth_unit for one in (self, other) if "depth" in one.lineage}
        if len(units) > 1:
            raise RemodalError(f"found depth in the units {', '.join(str(unit) for unit in sorted(units, key=str))}")
        columns = tuple(dict.fromkeys([*self.columns, *other.columns]))
        return Learned(
            columns=columns,
            sources=(*self.sources, *other.sources[begun:]),
            items=self.items.and_then(
                other.items[other.items.sources >= begun].placed(
                    {at: columns.index(column) for at, column in enumerate(other.columns)},
                    {at: len(self.sources) + at - begun for at in range(begun, len(other.sources))},
                )
            ),
            lineage={
                modality: _both(self.lineage.get(modality), other.lineage.get(modality), base.lineage.get(modality))
                for modality in dict.fromkeys([*self.lineage, *other.lineage])
            },
            tasks=self.tasks + other.tasks - base.tasks,
            held_out=self.held_out.merged(other.held_out, base.held_out),
            depth_unit=self.depth_unit if "depth" in self.lineage else other.depth_unit,
        )

    @classmethod
    def from_run(cls, prepared: PreparedStream, origin: str) -> Learned:
        """After all steps of a stream."""
        learned = cls()
        for step in prepared.steps:
            if step.train is not None:
                learned = learned.after(step.train, origin, step.licences, step.unit)
        for task in prepared.tasks:
            labels = [task.train.classes[label] for label in task.test.labels.tolist()]
            learned = learned.holding(task.train.modality, task.test.tokens, labels)
        return learned


def about(method: Method, name: str, backbone: str, features: Features, learned: Learned) -> About:
    """What a model is and has learned, with its accuracy on what it holds out.

    name, backbone: of the method and the frozen model, as they are asked for. RemodalError where it is more than a
    description holds.
    """
    accuracy = learned.held_out.accuracy(method, learned.columns)
    with valid("the model can't be described"):
        return About(
            method=name,
            settings=method.settings.model_dump(mode="json"),
            backbone=backbone,
            backbone_settings=method.backbone.settings.model_dump(mode="json"),
            dtype=method.backbone.engine.name,
            features=features,
            fingerprint=method.backbone.fingerprint,
            seed=method.seed,
            tasks=learned.tasks,
            classes=learned.columns,
            sources=learned.sources,
            lineage=dict(learned.lineage),
            accuracy=accuracy,
            depth_unit=learned.depth_unit,
            arrived=learned.arrived,
        )


def _both(first: str | None, second: str | None, base: str | None) -> str:
    """A hash over what two learned of a modality; of one of them where the other has learned nothing of it since."""
    if second in (None, base) or first == second:
        return first or ""
    if first in (None, base):
        return second or ""
    return hashlib.sha256("\0".join(["merged", *sorted([first or "", second or ""])]).encode()).hexdigest()[:32]


def _chained(before: str, data: TaskData) -> str:
    digest = hashlib.sha256("\0".join([before, data.modality, *data.classes]).encode())
    parts = (batch.content for batch in data.tokens.batches(CHUNK))
    for tensor in chain([data.labels, data.tokens.lengths], parts):
        digest.update(tensor.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:32]
