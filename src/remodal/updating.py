"""A saved model learns on: what is new in a folder becomes its next version, and the old one stays."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from remodal.errors import RemodalError
from remodal.features.progress import Progress, Silent
from remodal.model import Model
from remodal.saved import changed_into, changing, fitting, forget
from remodal.saved.description import Measured
from remodal.streams import lessons
from remodal.streams.base import Column, Quarantined
from remodal.streams.listing import listed
from remodal.streams.outside import name_of

UNDIVIDED = 8
"""A class with fewer files is learned from all of them: none is held out."""


class Updated(NamedTuple):
    """What an update did.

    new: classes that were not known. more: classes of which more items came. before, after: accuracy on what was held
    out of the old classes, by modality, with the new classes as candidates too after the update. set_aside: items that
    could not be used.
    """

    folder: Path
    version: int
    new: tuple[Column, ...]
    more: tuple[Column, ...]
    before: Mapping[str, Measured]
    after: Mapping[str, Measured]
    set_aside: tuple[Quarantined, ...]


def update(
    model: str | Path,
    data: str | Path,
    save_as: str | Path | None = None,
    *,
    cache: Path | None = None,
    device: str = "cpu",
    dtype: str | None = None,
    depth_unit: str | None = None,
    trust_backbone: str | Path | None = None,
    keep: int | None = None,
    progress: Progress | None = None,
) -> Updated:
    """Learn new classes, more items of known ones, or a new modality from ``data``.

    model: see :meth:`Model.load`. data: see :func:`~remodal.streams.lessons`. save_as: a folder for the result, instead
    of a next version of ``model``. keep: of the versions that there are then, the newest so many stay
    (:func:`~remodal.saved.forget`); None: all. depth_unit: of depth files that state none; by default what those had
    that the model learned from. Whatever happens on the way, the model's current version stays as it was.

    Raises:
        RemodalError: There is nothing to learn, ``save_as`` holds a model, another process changes the model, or the
            model's tensors don't fit its method.
    """
    if keep is not None and keep < 1:
        raise RemodalError(f"found {keep} versions to keep; valid: 1 or more")
    shown = progress or Silent()
    source, target = changed_into(model, save_as)
    with changing(target):
        learner = Model.load(source, cache=cache, device=device, dtype=dtype, trust_backbone=trust_backbone)
        tasks, quarantined = lessons(data, undivided=UNDIVIDED, depth_unit=learner.unit(depth_unit))
        known, held_out = learner.seen_, learner.learned_.held_out
        with fitting(source, learner.method_name):
            before = held_out.accuracy(learner.method, known)
        tasks, unusable = learner.usable(tasks, shown)
        set_aside = (*quarantined, *unusable)
        if not tasks:
            raise RemodalError(f"{data}: nothing to learn; {listed(set_aside)}")
        with shown.work("learn", len(tasks)) as count, fitting(source, learner.method_name):
            for task in tasks:
                learner.learn(task, shown, origin=name_of(data))
                count()
        after = held_out.accuracy(learner.method, learner.seen_)
        learner.save(target)
        if keep is not None:
            forget(target, keep)
    taught = dict.fromkeys(
        column for task in tasks for column in (Column(task.modality, name) for name in task.classes)
    )
    assert learner.saved_as is not None
    return Updated(
        target,
        learner.saved_as[1],
        tuple(column for column in taught if column not in known),
        tuple(column for column in taught if column in known),
        before,
        after,
        set_aside,
    )
