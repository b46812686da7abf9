"""A saved model learns what arrives: a few items at a time, each content once; each time is a version, and logged."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from remodal.errors import BadItem, RemodalError
from remodal.features.progress import Progress, Silent
from remodal.model import Model
from remodal.saved import (
    Description,
    changing,
    current_description,
    fitting,
    forget,
    is_free,
    located,
    next_version,
)
from remodal.streams.base import Item, Quarantined, Task
from remodal.watching.content import HashedItem
from remodal.watching.known import Known
from remodal.watching.log import LOG, Arrival, Entry, SetAside, append, entries, named, now
from remodal.watching.looking import Sign
from remodal.watching.sides import sided, tasks_of

UNKNOWN = Sign(0, 0)


class Arrivals:
    """What arrives for one model.

    model: its folder, or a finished run's. load: gives the saved model of a folder. begin: gives the one that a new
    folder begins with; None where there has to be a model. keep: versions made here that stay, the newest; None: all.

    Raises:
        RemodalError: There is no such model, or it is not a folder of this machine.
    """

    def __init__(
        self,
        model: str | Path,
        load: Callable[[Path], Model],
        begin: Callable[[], Model] | None = None,
        keep: int | None = None,
    ) -> None:
        if keep is not None and keep < 1:
            raise RemodalError(f"found {keep} versions to keep; valid: 1 or more")
        free = begin is not None and is_free(Path(model), (LOG,))
        self.folder = Path(model) if free else located(model)
        if self.folder not in (Path(model), Path(model) / "model"):
            raise RemodalError(f"{model}: comes from a hub; valid: a folder, which can hold what is learned")
        self._load, self._begin, self._keep = load, begin, keep
        self._model: Model | None = None
        self._read: Description | None = None
        self.known = Known()

    def model(self) -> Model:
        """The current version, whoever made it, and what its log says is read where that is another one than before."""
        if is_free(self.folder, (LOG,)) and self._begin is not None:
            found = None
            model = self._model if self._read is None and self._model else self._begin()
        else:
            found = current_description(self.folder)
            model = self._model if self._read == found and self._model else self._load(self.folder)
        if model is not self._model:
            self.known = Known(entries(self.folder, model.learned_.arrived))
            self._model, self._read = model, found
        return model

    def take(
        self,
        items: Sequence[Item],
        source: str,
        origin: str,
        *,
        signs: Mapping[str, Sign] | None = None,
        set_aside: Sequence[Quarantined] = (),
        progress: Progress | None = None,
    ) -> Entry | None:
        """Learn items whose content hasn't come yet, or hold them out; what was done, None where there was nothing.

        source: where they come from, for the log; origin: for the model's card. signs: of the files, by id or path.
        set_aside: what is to be logged beside them.

        Whatever happens on the way, the model's current version, and the log as far as it counts, stay as they were.

        Raises:
            InUse: Another process is changing the model.
            RemodalError: The model or its log is damaged, or can't be written.
        """
        shown = progress or Silent()
        with changing(self.folder):
            model = self.model()
            hashed, refused = self._hashed(items)
            tasks, unusable = model.usable(tasks_of(hashed), shown)
            refused = [*set_aside, *refused, *unusable]
            if not tasks and not refused:
                return None
            found = signs or {}
            entry = Entry(
                time=now(),
                source=named(source),
                after=model.learned_.arrived,
                set_aside=tuple(_set_aside(one, found.get(one.path, UNKNOWN)) for one in refused),
            )
            if not tasks:
                append(self.folder, entry)
            else:
                try:
                    held = model.learned_.held_out
                    parted = [sided(task, self.known.counts, held.counts(task.modality)) for task in tasks]
                    entry = self._save(model, self._learn(model, entry, parted, origin, found, shown), origin)
                except BaseException:
                    self._model = None  # it may have learned what no version has
                    raise
            self.known.add(entry)
            return entry

    def _hashed(self, items: Sequence[Item]) -> tuple[list[HashedItem], list[Quarantined]]:
        """Items of contents that are new, and those that bring none or can't be read; what has gone is neither."""
        hashed: dict[str, HashedItem] = {}
        refused: list[Quarantined] = []
        for item in items:
            try:
                one = HashedItem.of(item)
            except BadItem as bad:
                if item.file is None or os.path.lexists(item.file):
                    refused.append(Quarantined(item.id, bad.reason))
                continue
            before = self.known.contents.get(one.content)
            if before is None and (first := hashed.setdefault(one.content, one)) is not one:
                before = first.id
            if before is not None:
                refused.append(Quarantined(item.id, f"its content came before, as {before}"))
        return list(hashed.values()), refused

    def _learn(
        self, model: Model, entry: Entry, tasks: Sequence[Task], origin: str, signs: Mapping[str, Sign], shown: Progress
    ) -> Entry:
        """Learn, and hold out, what the tasks say; the entry with what was done."""
        before = set(model.seen_)
        with shown.work("learn", len(tasks)) as count, fitting(self.folder, model.method_name):
            for task in tasks:
                if task.train:
                    model.learn(task, shown, origin)
                else:
                    model.hold_out(task)
                count()
            accuracy = model.learned_.held_out.accuracy(model.method, model.seen_)
        return entry.model_copy(
            update={
                "learned": _arrivals([item for task in tasks for item in task.train], signs),
                "held_out": _arrivals([item for task in tasks for item in task.test], signs),
                "new": tuple(column for column in model.seen_ if column not in before),
                "accuracy": accuracy,
            }
        )

    def _save(self, model: Model, entry: Entry, origin: str) -> Entry:
        """Save what was learned as a version that names its entry; the entry with the version's number."""
        entry = entry.model_copy(update={"version": next_version(self.folder)})
        model.learned_ = replace(model.learned_.pooled(origin), arrived=entry.id)
        append(self.folder, entry)
        model.save(self.folder)
        self._read = current_description(self.folder)
        if self._keep is not None:
            forget(self.folder, self._keep, lambda version: version.about.arrived is not None)
        return entry


def _arrivals(items: Sequence[Item], signs: Mapping[str, Sign]) -> tuple[Arrival, ...]:
    found = []
    for item in items:
        assert isinstance(item, HashedItem)
        sign = signs.get(item.id, UNKNOWN)
        found.append(
            Arrival(
                path=named(item.id), modality=item.modality, label=item.label, content=item.content,
                bytes=sign.bytes, changed=sign.changed,
            )
        )  # fmt: skip
    return tuple(found)


def _set_aside(one: Quarantined, sign: Sign) -> SetAside:
    return SetAside(path=named(one.path), reason=named(one.reason), bytes=sign.bytes, changed=sign.changed)
