"""A saved model forgets: classes, single items, or all that came from somewhere, as if it had never seen them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from remodal.backbones import Backbone
from remodal.errors import RemodalError, UnknownName
from remodal.features.entries import token_key
from remodal.features.progress import Progress
from remodal.media import read_file
from remodal.modalities.depth import METRES
from remodal.model import Model
from remodal.saved import Learned, changed_into, changing, fitting
from remodal.saved.description import Measured
from remodal.streams import lessons
from remodal.streams.base import Column


@dataclass(frozen=True)
class Chosen:
    """What is to be forgotten. classes: ``modality:name`` each. files: of items. sources: origins, as the model's card
    names them.
    """

    classes: Sequence[str] = ()
    files: Sequence[Path] = ()
    sources: Sequence[str] = ()

    def among(self, learned: Learned, backbone: Backbone) -> Tensor:
        """Which of the items it is, bool ``[n]``.

        Raises:
            RemodalError: The model hasn't learned one of them, nothing is chosen, or items weren't noted.
        """
        if not (self.classes or self.files or self.sources):
            raise RemodalError("nothing is to be forgotten; valid: a class, a file or a source")
        learned.check_noted()
        chosen = torch.zeros(len(learned.items), dtype=torch.bool)
        for named in self.classes:
            chosen |= learned.items.columns == learned.columns.index(_column(named, learned.columns))
        origins = [source.origin for source in learned.sources]
        for origin in self.sources:
            if origin not in origins:
                raise UnknownName("source", origin, set(origins))
            own = torch.tensor([at for at, one in enumerate(origins) if one == origin])
            chosen |= torch.isin(learned.items.sources, own)
        names = learned.items.named() if self.files else []
        for file in self.files:
            keys = _keys(file, backbone)
            own = torch.tensor([name in keys for name in names], dtype=torch.bool)
            if not own.any():
                raise RemodalError(f"{file}: the model has learned nothing that holds the same")
            chosen |= own
        return chosen

    def __str__(self) -> str:
        return ", ".join([*self.classes, *(path.name for path in self.files), *self.sources])


class Forgotten(NamedTuple):
    """What was forgotten. items: how many. left: how many the model still knows. gone: classes of which none is left.
    before, after: accuracy on what is held out of the other classes, by modality.
    """

    folder: Path
    version: int
    items: int
    left: int
    gone: tuple[Column, ...]
    before: Mapping[str, Measured]
    after: Mapping[str, Measured]


def forget(
    model: str | Path,
    chosen: Chosen,
    save_as: str | Path | None = None,
    *,
    data: str | Path | None = None,
    cache: Path | None = None,
    device: str = "cpu",
    dtype: str | None = None,
    trust_backbone: str | Path | None = None,
    progress: Progress | None = None,
) -> Forgotten:
    """Make the model that never saw what is chosen: it learns all else again, from stored features.

    model: see :meth:`Model.load`. save_as: a folder for the result, instead of a next version of ``model``. data: what
    it learned from, or a part of it, of which features are computed again where they aren't stored any more.

    Raises:
        RemodalError: The model hasn't learned what is chosen, nothing else is left, or not all that is left is known
            item by item and still stored; or another process changes the model.
    """
    source, target = changed_into(model, save_as)
    with changing(target):
        learner = Model.load(source, cache=cache, device=device, dtype=dtype, trust_backbone=trust_backbone)
        rows = chosen.among(learner.learned_, learner.backbone)
        if data is not None:
            learner.usable(lessons(data, undivided=1, depth_unit=learner.unit())[0], progress)
        with fitting(source, learner.method_name):
            left = learner.without(rows, progress)
            gone = tuple(column for column in learner.seen_ if column not in left.seen_)
            before = left.learned_.held_out.accuracy(learner.method, learner.seen_)
        left.save(target, note=f"forgot {chosen}: {int(rows.sum()):,} of {len(rows):,} items")
    assert left.saved_as is not None
    after = left.learned_.held_out.accuracy(left.method, left.seen_)
    return Forgotten(target, left.saved_as[1], int(rows.sum()), len(left.learned_.items), gone, before, after)


def _column(named: str, known: Sequence[Column]) -> Column:
    modality, _, name = named.partition(":")
    if (column := Column(modality, name)) not in known:
        raise UnknownName("class", named, [f"{one.modality}:{one.name}" for one in known])
    return column


def _keys(file: Path, backbone: Backbone) -> set[bytes]:
    """Under which the file's content may be stored, however it was read."""
    content = read_file(file)
    units = (None, *METRES)
    return {token_key(backbone.fingerprint, name, unit, content) for name in backbone.reads for unit in units}
