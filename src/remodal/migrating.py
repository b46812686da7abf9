"""A saved model moves to another frozen model: it learns again, from its files, all that it had learned.

What a method has learned is of one frozen model's features and says nothing of another's. So the files are needed, and
found again by what they hold.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from remodal.errors import BadItem, RemodalError
from remodal.features.entries import token_key
from remodal.features.progress import Progress, Silent
from remodal.media import Given
from remodal.model import Model
from remodal.saved import changed_into, changing, fitting
from remodal.saved.description import Measured
from remodal.streams import listing_of
from remodal.streams.base import Column, Item, Quarantined, Task


class Migrated(NamedTuple):
    """What was moved. items, held_out: how many it has learned, and holds out, now. lost: of those that it held out,
    how many no file was found of. before, after: accuracy on what is held out, by modality.
    """

    folder: Path
    version: int
    items: int
    held_out: int
    lost: int
    before: Mapping[str, Measured]
    after: Mapping[str, Measured]
    indexed: int | None
    refused: tuple[Quarantined, ...]


@dataclass(frozen=True)
class _Known(Item):
    """An item as the model knows it. found: where its bytes are, whatever it is called there."""

    found: Item

    @classmethod
    def of(cls, found: Item, number: int, column: Column) -> _Known:
        """One of the class ``column``. number: of its task, so that files of several folders don't share a name."""
        named = f"{number}: {found.id}"
        return cls(named, column.modality, column.name, found.split, found.group, found.licence, found)

    def read(self) -> bytes:
        return self.found.read()

    @property
    def read_as(self) -> str:
        return self.found.read_as

    @property
    def file(self) -> Path | None:
        return self.found.file

    @property
    def unit(self) -> str | None:
        return self.found.unit


def migrate(
    model: str | Path,
    backbone: str,
    data: Sequence[str | Path],
    save_as: str | Path | None = None,
    *,
    backbone_settings: Mapping[str, object] | None = None,
    cache: Path | None = None,
    device: str = "cpu",
    dtype: str = "float32",
    trust_backbone: str | Path | None = None,
    index: str | None = None,
    progress: Progress | None = None,
) -> Migrated:
    """Make the model that has learned the same, in the same order and under the same names, on another frozen model.

    model: see :meth:`Model.load`. backbone, backbone_settings, device, dtype: as of :class:`Model`. data: what it
    learned from: folders, their URLs, addresses, or streams inside the package. save_as: a folder for the result,
    instead of a next version of ``model``. trust_backbone: of the frozen model that it leaves. index: of stored media,
    made again beside what is there, which earlier versions of the model go on finding. Method, settings and seed stay.
    Whatever happens on the way, the model's current version and the index stay as they were until all is done.

    Raises:
        RemodalError: A file of what it has learned isn't found, or not all that it has learned is known item by item;
            the backbone can't be loaded; or another process changes the model.
    """
    shown = progress or Silent()
    source, target = changed_into(model, save_as)
    with changing(target):
        old = Model.load(source, cache=cache, trust_backbone=trust_backbone)
        old.learned_.check_noted()
        if index is not None:
            from remodal.search import Index, rebuild

            stored = Index.open(index).of(old.backbone.fingerprint)
        told = old.about()
        before = told.accuracy
        if (told.backbone, dict(told.backbone_settings)) == (backbone, dict(backbone_settings or {})):
            raise RemodalError(f"{model}: is on the backbone {backbone!r} already")
        new = Model(
            told.method, backbone, seed=told.seed, features=told.features, backbone_settings=backbone_settings,
            cache=cache, device=device, dtype=dtype, **told.settings,
        )  # fmt: skip
        files = _Files.of(old, data, shown)
        with shown.work("learn", len(told.sources)) as count, fitting(source, told.method):
            for task, origin in files.tasks():
                new.learn(task, progress, origin=origin)
                count()
        for task in files.held_out():
            new.hold_out(task)
        after = new.about().accuracy
        new.learned_ = replace(new.learned_, arrived=old.learned_.arrived)
        new.saved_as = old.saved_as
        indexed: int | None = None
        refused: tuple[Quarantined, ...] = ()
        if index is not None:
            other, kept = rebuild(stored, new, str(target.resolve()), shown)
            indexed, refused = kept.embedded, kept.refused
            other.switch()  # before the model: an index that has both serves either
        new.save(target, note=f"moved from the backbone {told.backbone} to {backbone}")
    assert new.saved_as is not None
    held_out, held_before = (len(one.learned_.held_out) for one in (new, old))
    lost = held_before - held_out
    learned = len(new.learned_.items)
    return Migrated(target, new.saved_as[1], learned, held_out, lost, before, after, indexed, refused)


@dataclass(frozen=True)
class _Files:
    """Files of what a model has learned, and holds out. learned: by the key of an item. others: all else there is."""

    model: Model
    learned: Mapping[bytes, Item]
    others: Sequence[Item]

    @classmethod
    def of(cls, model: Model, data: Sequence[str | Path], progress: Progress) -> _Files:
        """Those among ``data``.

        Raises:
            RemodalError: One that the model has learned isn't there.
        """
        wanted = set(model.learned_.items.named())
        learned: dict[bytes, Item] = {}
        others: list[Item] = []
        items = [item for where in data for item in listing_of(where, depth_unit=model.unit()).items]
        with progress.work("look for what it has learned", len(items)) as count:
            for item in items:
                try:
                    key = token_key(model.backbone.fingerprint, item.read_as, item.unit, item.read())
                except BadItem:
                    continue  # what can't be read isn't what was learned
                finally:
                    count()
                if key in wanted:
                    learned.setdefault(key, item)
                else:
                    others.append(item)
        if gone := len(wanted) - len(learned):
            listed = ", ".join(map(str, data))
            raise RemodalError(
                f"found no file of {gone:,} of {len(wanted):,} items that the model has learned in {listed}; "
                "valid: all folders that it learned from, each by --data"
            )
        return cls(model, learned, others)

    def tasks(self) -> Iterator[tuple[Task, str]]:
        """What was learned at one go, in its order, and where it came from."""
        learned = self.model.learned_
        for at, source in enumerate(learned.sources):
            own = learned.items[learned.items.sources == at]
            train = tuple(
                _Known.of(self.learned[key], number, learned.columns[column])
                for number, (key, column) in enumerate(zip(own.named(), own.columns.tolist(), strict=True))
            )
            yield Task(at, source.modality, source.classes, train, ()), source.origin

    def held_out(self) -> Iterator[Task]:
        """What is held out of each modality, as far as there are files of it."""
        kept = self.model.learned_.held_out.kept
        found: dict[str, dict[int, Item]] = {modality: {} for modality in kept}
        for item in self.others:
            given = Given(item.id, item.read(), item.read_as, item.unit)
            for modality, same in self.model.holding(given).held_out.items():
                for row in same.nonzero()[:, 0].tolist():
                    found[modality].setdefault(row, item)
        for at, (modality, rows) in enumerate(found.items()):
            columns = [Column(modality, label) for label in kept[modality].labels]
            test = tuple(_Known.of(rows[row], row, columns[row]) for row in sorted(rows))
            if test:
                yield Task(at, modality, tuple(dict.fromkeys(item.label for item in test)), (), test)
