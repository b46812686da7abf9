"""Streams of tasks: from data inside the package, from a folder of one's own, or from other sources.

>>> everyday = stream("everyday", order="sequential", seed=0)
>>> task = everyday.tasks[0]
>>> len(task.classes), task.train[0].label in task.classes
(4, True)

Whoever holds items lists them (:mod:`embedded`, :mod:`folder`, :mod:`manifest`, :mod:`sources`), an order makes tasks
of them and the steps in which they are learned (:mod:`orders`). Nothing is decoded here: a file that turns out to be
broken is found by whoever reads it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

from remodal.errors import BadItem, RemodalError, UnknownName
from remodal.features.progress import Progress, Silent
from remodal.modalities import get_modality
from remodal.modalities.base import Medium
from remodal.streams import close
from remodal.streams.base import Item, Quarantined, Split, Step, Stream, Task
from remodal.streams.disguise import disguised
from remodal.streams.embedded import HERE, altered_files, embedded_names, list_embedded
from remodal.streams.exporting import NOTICE
from remodal.streams.exporting import export as write_files
from remodal.streams.folder import LAYOUT
from remodal.streams.likeness import Thumbnail, near_copies, thumbnail
from remodal.streams.listing import Listing, learnable, listed
from remodal.streams.manifest import NAME
from remodal.streams.orders import ORDERS, make_schedule
from remodal.streams.outside import is_elsewhere, is_manifest, list_outside, name_of
from remodal.streams.settings import StreamSettings
from remodal.streams.sources import sources
from remodal.streams.splits import on_both_sides
from remodal.streams.subsets import few_shot, samples, validation

__all__ = [
    "ORDERS",
    "Item",
    "Quarantined",
    "Split",
    "Step",
    "Stream",
    "StreamSettings",
    "Task",
    "check",
    "export",
    "lessons",
    "list_streams",
    "stream",
    "verify",
]

DEFAULTS = StreamSettings()


class _Inside(NamedTuple):
    """A stream inside the package: where its media lie, and how they are listed."""

    folder: Path
    listing: Callable[[], Listing]


def _inside(name_or_path: str | Path) -> _Inside | None:
    """The stream of this name; None for a folder, which a Path always is."""
    if name_or_path == close.NAME:
        return _Inside(close.SOURCE, close.list_close)
    if name_or_path in embedded_names():
        folder = HERE / name_or_path
        return _Inside(folder, partial(list_embedded, folder))
    return None


def list_streams() -> list[str]:
    """The names of the streams inside the package; see :func:`stream` for what else is a valid one.

    >>> list_streams()
    ['everyday', 'everyday-close']
    """
    return sorted([*embedded_names(), close.NAME])


def stream(
    name_or_path: str | Path,
    *,
    order: str = "random",
    seed: int = 0,
    **settings: Any,
) -> Stream:
    """The tasks of a stream and the steps in which they are to be learned. Equal calls give equal streams.

    Args:
        name_or_path: A name in :func:`list_streams`; a folder with a ``manifest.csv`` or laid out as
            ``<modality>/<class>/<files>``; a manifest of another name; the URL of such a folder; or an address such as
            ``hf:beans?image=image&label=labels`` (:mod:`~remodal.streams.sources`).
        order: How tasks come. ``"random"``: the modalities interleave; ``"sequential"``: one modality after the other;
            each step is a whole task in both. ``"mixed"``: tasks of up to three modalities come at once, each cut into
            three turns. ``"blurry"``: three tenths of each class's items come with later tasks of its modality.
        seed: Of the classes of the tasks and of their order, at least 0.
        settings: See :class:`StreamSettings`.

    Raises:
        RemodalError: There is no such stream, order or setting, or it holds nothing that can be learned.
    """
    chosen = StreamSettings.checked(settings)
    if seed < 0:
        raise RemodalError(f"seed: found {seed}; valid: 0 or more")
    name, listing = _listed(name_or_path, chosen)
    items, quarantined = learnable(listing)
    if chosen.validation:
        items, unused = learnable(Listing(validation(items), ()))
        quarantined += unused
    if chosen.train_items is not None:
        items = few_shot(items, chosen.train_items, seed)
    if not items:
        raise _nothing_to_learn(name_or_path, quarantined)
    if chosen.disguised:
        items = tuple(disguised(item) for item in items)
    schedule = make_schedule(items, order=order, seed=seed, classes_per_task=chosen.classes_per_task)
    return Stream(name, order, seed, *schedule, quarantined)


def lessons(
    root: str | Path, *, undivided: int = 0, depth_unit: str | None = DEFAULTS.depth_unit
) -> tuple[tuple[Task, ...], tuple[Quarantined, ...]]:
    """All that a folder, or another source, has to teach, one task a modality, and what was set aside of it.

    Unlike in a stream, a class may have no held-out items.

    Args:
        root: A folder with a ``manifest.csv`` or laid out as ``<modality>/<class>/<files>``, its URL, a manifest of
            another name, or an address (:mod:`~remodal.streams.sources`).
        undivided: A class of fewer items, where no split is stated, is all for learning.
        depth_unit: Of depth files that state none.

    Raises:
        RemodalError: There is no such folder, or nothing in it to learn.
    """
    if not is_elsewhere(root) and not is_manifest(root) and not Path(root).is_dir():
        found = "found a file" if Path(root).exists() else "no such folder"
        raise RemodalError(
            f"{root}: {found}; valid: a folder laid out as {LAYOUT}, or with a {NAME}; or a manifest, a .csv file"
        )
    items, quarantined = list_outside(root, depth_unit, undivided)
    tasks: list[Task] = []
    for modality in dict.fromkeys(item.modality for item in items):
        train, test = (
            tuple(item for item in items if item.modality == modality and item.split == split)
            for split in ("train", "test")
        )
        if train:
            classes = tuple(dict.fromkeys(item.label for item in train))
            held_out = tuple(item for item in test if item.label in classes)
            tasks.append(Task(len(tasks), modality, classes, train, held_out))
    if not tasks:
        raise _nothing_to_learn(root, quarantined)
    return tuple(tasks), quarantined


def verify(
    name_or_path: str | Path, *, depth_unit: str | None = DEFAULTS.depth_unit, progress: Progress | None = None
) -> list[Quarantined]:
    """All that is wrong with a stream's data.

    That is what is set aside, each item that :func:`check` refuses, and each test item that is a training item too,
    byte for byte or as a near copy of its picture (:mod:`~remodal.streams.likeness`).
    """
    settings = StreamSettings.checked({"depth_unit": depth_unit})
    _, listing = _listed(name_or_path, settings)
    inside = _inside(name_or_path)
    problems = altered_files(inside.folder) if inside else []
    problems += learnable(listing).quarantined
    contents: dict[str, bytes] = {}
    thumbnails: dict[str, Thumbnail] = {}
    with (progress or Silent()).work("verify", len(listing.items)) as count:
        for item in listing.items:
            try:
                data, medium = _decoded(item)
                contents[item.id] = sha256(item.read_as.encode() + b"\0" + data).digest()
                if item.read_as == "image" and not isinstance(medium, str):
                    thumbnails[item.id] = thumbnail(medium)
            except BadItem as bad:
                problems.append(Quarantined(item.id, bad.reason))
            count()
    same = on_both_sides(listing.items, contents)
    for tested, learned in same:
        problems.append(Quarantined(tested, f"is learned from too, as {learned}; valid: test items of their own"))
    for tested, _ in same:
        thumbnails.pop(tested, None)
    for tested, learned in near_copies(listing.items, thumbnails):
        reason = f"is nearly the picture {learned}, which is learned from; valid: test items of their own"
        problems.append(Quarantined(tested, reason))
    return problems


def export(
    name_or_path: str | Path,
    folder: str | Path,
    *,
    split: str | None = None,
    items: int | None = None,
    depth_unit: str | None = DEFAULTS.depth_unit,
    progress: Progress | None = None,
) -> int:
    """Write a stream's items as files and a manifest; how many (see :mod:`remodal.streams.exporting`).

    Args:
        name_or_path: See :func:`stream`.
        folder: A new one. Its manifest makes it a stream with the same classes, splits and sources.
        split: ``"train"`` or ``"test"``; both by default.
        items: Of each class, at most.
        depth_unit: Of depth files that state none.
        progress: Shows how it goes on.

    Raises:
        RemodalError: There is no such stream, or something in the folder.
    """
    _, listing = _listed(name_or_path, StreamSettings.checked({"depth_unit": depth_unit}))
    of_split = [item for item in listing.items if split in (None, item.split)]
    chosen = of_split if items is None else samples(of_split, items)
    inside = _inside(name_or_path)
    notice = inside.folder / NOTICE if inside else None
    write_files(chosen, Path(folder), notice, progress)
    return len(chosen)


def check(item: Item) -> Quarantined | None:
    """Read and decode one item, an embedded one against its hash: what is wrong with it, if anything is."""
    try:
        _decoded(item)
    except BadItem as error:
        return Quarantined(item.id, error.reason)
    return None


def _decoded(item: Item) -> tuple[bytes, Medium]:
    """An item's bytes, and what they hold. Raises BadItem where they can't be read or decoded."""
    data = item.read()
    return data, get_modality(item.read_as).decode(data, where=item.id, unit=item.unit)


def _nothing_to_learn(where: str | Path, quarantined: Sequence[Quarantined]) -> RemodalError:
    skipped = f"; {listed(quarantined)}" if quarantined else ""
    return RemodalError(f"{where}: found nothing to learn{skipped}; valid: {LAYOUT}, or a {NAME}")


def listing_of(name_or_path: str | Path, *, depth_unit: str | None = DEFAULTS.depth_unit) -> Listing:
    """All items of a stream inside the package, of a folder, its URL or an address, and what was set aside of them.

    Raises:
        RemodalError: There is no such source.
    """
    return _listed(name_or_path, StreamSettings.checked({"depth_unit": depth_unit}))[1]


def _listed(name_or_path: str | Path, settings: StreamSettings) -> tuple[str, Listing]:
    """A stream's name and its items."""
    if inside := _inside(name_or_path):
        return str(name_or_path), inside.listing()
    root = Path(name_or_path)
    if is_elsewhere(name_or_path) or is_manifest(root) or root.is_dir():
        return name_of(name_or_path), list_outside(name_or_path, settings.depth_unit)
    if root.exists():
        raise RemodalError(f"{root}: found a file; valid: a folder, or one of {', '.join(list_streams())}")
    unknown = UnknownName("stream", str(name_or_path), list_streams())
    kinds = ", ".join(f"{kind}:..." for kind in sources.names())
    unknown.args = (f"{unknown}, the path or URL of a folder, or an address: {kinds}",)
    raise unknown
