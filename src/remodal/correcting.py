"""A saved model is corrected: it forgets, or learns under the right name, as if it had never been taught otherwise.

All that isn't concerned is learned again in its order, from stored features.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch

from remodal.errors import RemodalError, UnknownName
from remodal.features.progress import Progress
from remodal.media import Given, named
from remodal.modalities import MODALITIES
from remodal.model import Model
from remodal.saved import Learned, Marked, changed_into, changing, fitting, forget
from remodal.saved.description import Measured
from remodal.streams import lessons
from remodal.streams.base import Column
from remodal.streams.labels import checked_label

File = Path | Given
"""A file, or what a client sent."""


class Correction(ABC):
    """What is to be put right of a model."""

    @abstractmethod
    def among(self, model: Model) -> Marked:
        """The items that it is about.

        Raises:
            RemodalError: The model hasn't learned them, they can't be corrected so, or items weren't noted.
        """

    @abstractmethod
    def made(self, model: Model, items: Marked, progress: Progress | None) -> Model:
        """The model that is right."""

    @abstractmethod
    def note(self, learned: Learned, items: Marked) -> str:
        """What was done, in words; no file is named. learned: before it was."""


@dataclass(frozen=True)
class Forget(Correction):
    """classes: ``modality:name`` each. files: of items, learned or held out. sources: origins, as the model's card
    names them.
    """

    classes: Sequence[str] = ()
    files: Sequence[File] = ()
    sources: Sequence[str] = ()

    def among(self, model: Model) -> Marked:
        """See :meth:`Correction.among`."""
        if not (self.classes or self.files or self.sources):
            raise RemodalError("nothing is to be forgotten; valid: a class, a file or a source")
        learned = model.learned_
        learned.check_noted()
        chosen = Marked.none(learned)
        for name in self.classes:
            chosen.learned[learned.items.columns == learned.columns.index(known(name, learned.columns))] = True
        origins = [source.origin for source in learned.sources]
        for origin in self.sources:
            if origin not in origins:
                raise UnknownName("source", origin, set(origins))
            own = torch.tensor([at for at, one in enumerate(origins) if one == origin])
            chosen.learned[torch.isin(learned.items.sources, own)] = True
        for file in self.files:
            chosen |= _found(model, file)
        return chosen

    def made(self, model: Model, items: Marked, progress: Progress | None) -> Model:
        """See :meth:`Correction.made`."""
        return model.without(items, progress)

    def note(self, learned: Learned, items: Marked) -> str:
        """See :meth:`Correction.note`."""
        files = [f"{len(self.files)} {'file' if len(self.files) == 1 else 'files'}"] if self.files else []
        return f"forgot {', '.join([*self.classes, *self.sources, *files])}: {_counts(items)}"


@dataclass(frozen=True)
class Relabel(Correction):
    """files: of items, learned or held out, each of one class. name: of the class, in their own modality, that they
    are of; it may be new.
    """

    files: Sequence[File]
    name: str

    def among(self, model: Model) -> Marked:
        """See :meth:`Correction.among`."""
        if not self.files:
            raise RemodalError("nothing is to be relabelled; valid: one file or more")
        name, learned = checked_label(self.name, "class"), model.learned_
        learned.check_noted()
        chosen = Marked.none(learned)
        for file in self.files:
            items = _found(model, file)
            column, *others = items.columns(learned)
            if others:
                labels = " and ".join(str(one) for one in sorted((column, *others)))
                raise RemodalError(f"{_name(file)}: the model has learned it as {labels}; valid: a file of one class")
            if column.name == name:
                raise RemodalError(f"{_name(file)}: is of the class {column} already")
            modality, _, bare = name.partition(":")
            if modality in MODALITIES:
                raise RemodalError(f"class: found {name!r}; valid: {bare!r}, since a file stays in its modality")
            chosen |= items
        return chosen

    def made(self, model: Model, items: Marked, progress: Progress | None) -> Model:
        """See :meth:`Correction.made`."""
        return model.relabelled(items, self.name, progress)

    def note(self, learned: Learned, items: Marked) -> str:
        """See :meth:`Correction.note`."""
        before = items.columns(learned)
        now = dict.fromkeys(str(Column(one.modality, checked_label(self.name, "class"))) for one in before)
        return f"relabelled {', '.join(map(str, before))} as {', '.join(now)}: {_counts(items)}"


class Corrected(NamedTuple):
    """What was corrected. items, held_out: how many, of those learned and of those held out. left: how many it has
    learned now. new, gone: classes that were not known before, and of which none is left. before, after: accuracy on
    what is now held out of the classes known before and after, by modality.
    """

    folder: Path
    version: int
    items: int
    held_out: int
    left: int
    new: tuple[Column, ...]
    gone: tuple[Column, ...]
    before: Mapping[str, Measured]
    after: Mapping[str, Measured]


def correct(
    model: str | Path,
    correction: Correction,
    save_as: str | Path | None = None,
    *,
    data: str | Path | None = None,
    cache: Path | None = None,
    device: str = "cpu",
    dtype: str | None = None,
    trust_backbone: str | Path | None = None,
    keep: int | None = None,
    progress: Progress | None = None,
) -> Corrected:
    """Make the model that was never taught what is wrong: it learns all else again, from stored features.

    model: see :meth:`Model.load`. save_as: a folder for the result, instead of a next version of ``model``. data: what
    it learned from, or a part of it, of which features are computed again where they aren't stored any more. keep: of
    the versions that there are then, the newest so many stay; None: all. Whatever happens on the way, the model's
    current version stays as it was.

    Raises:
        RemodalError: The model hasn't learned what is to be corrected, nothing would be left, not all that it has
            learned is known item by item and still stored; or another process changes the model.
    """
    source, target = changed_into(model, save_as)
    with changing(target):
        learner = Model.load(source, cache=cache, device=device, dtype=dtype, trust_backbone=trust_backbone)
        items = correction.among(learner)
        if data is not None:
            learner.usable(lessons(data, undivided=1, depth_unit=learner.unit())[0], progress)
        with fitting(source, learner.method_name):
            right = correction.made(learner, items, progress)
            held_out = right.learned_.held_out.of(learner.seen_)
            before = held_out.accuracy(learner.method, learner.seen_)
            after = held_out.accuracy(right.method, right.seen_)
        right.save(target, note=correction.note(learner.learned_, items))
        if keep is not None:
            forget(target, keep)
    assert right.saved_as is not None
    return Corrected(
        target,
        right.saved_as[1],
        int(items.learned.sum()),
        items.held,
        len(right.learned_.items),
        tuple(column for column in right.seen_ if column not in learner.seen_),
        tuple(column for column in learner.seen_ if column not in right.seen_),
        before,
        after,
    )


def known(named: str, columns: Sequence[Column]) -> Column:
    """The class ``modality:name`` among ``columns``. UnknownName where it isn't."""
    modality, _, name = named.partition(":")
    if (column := Column(modality, name)) not in columns:
        raise UnknownName("class", named, map(str, columns))
    return column


def _found(model: Model, file: File) -> Marked:
    items = model.holding(file)
    if not items:
        raise RemodalError(f"{_name(file)}: the model has learned nothing that holds the same")
    return items


def _name(file: File) -> str:
    return file.id if isinstance(file, Given) else named(file)


def _counts(items: Marked) -> str:
    held = f", {items.held:,} held out" if items.held else ""
    return f"{int(items.learned.sum()):,} of {len(items.learned):,} items{held}"
