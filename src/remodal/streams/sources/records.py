"""Records with named columns, encoded media in some of them: what of them becomes items.

A record may hold media of several modalities, such as a clip, its sound and its caption: they are one group, which
never stands on both sides of the default split.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from pydantic import Field

from remodal.errors import BadItem, RemodalError, UnknownName
from remodal.modalities import MODALITIES
from remodal.settings import Settings
from remodal.streams.base import Item, Quarantined, Split
from remodal.streams.listing import Listing
from remodal.streams.places import is_url
from remodal.streams.sources.address import Address
from remodal.streams.splits import split_by_source


class ColumnOptions(Settings):
    """What the columns hold; a column inside a column is written ``outer.inner``."""

    image: str | None = Field(None, description="column of encoded pictures")
    video: str | None = Field(None, description="column of encoded clips")
    audio: str | None = Field(None, description="column of encoded sounds")
    depth: str | None = Field(None, description="column of encoded depth maps")
    text: str | None = Field(None, description="column of sentences")
    label: str = Field(description="column of the classes")
    names: str | None = Field(None, description="file of the classes' names, one a line, where labels are numbers")
    group: str | None = Field(None, description="column of what must not stand on both sides of a split")


class FileOptions(ColumnOptions):
    """Of a source that is files."""

    test: str | None = Field(None, description="files to measure on; the others are to learn from")

    def by_side(self, address: Address) -> dict[Split, str]:
        """Path, pattern or URL of the files of each side of the split; of one, where they are to be divided yet."""
        files: dict[Split, str] = {"train": address.where}
        if self.test is not None:
            files["test"] = self.test
        return {side: some if is_url(some) else str(Path(some).expanduser()) for side, some in files.items()}


class Facts(NamedTuple):
    """What is known of an item before its medium is read: the fields of :class:`Item`, and the unit of depth."""

    id: str
    modality: str
    label: str
    split: Split
    group: str
    unit: str | None


class Records(Protocol):
    """Records, all of the same columns."""

    @property
    def columns(self) -> Sequence[str]:
        """Their names."""

    def values(self, column: str) -> list[Any]:
        """What a column holds, record by record; None where a record has nothing there."""

    def names(self, path: Sequence[str]) -> Sequence[str] | None:
        """Names of the classes that the column's numbers stand for, where they are stated."""

    def holding(self, column: str) -> list[bool]:
        """Which records have something in a column of media."""

    def item(self, column: str, record: int, facts: Facts) -> Item:
        """The medium in a column of a record."""


class Part(NamedTuple):
    """A part of a source: what it is called, its records, and which side of the split it is."""

    name: str
    records: Records
    side: Split


def listed_records(
    address: Address, parts: Sequence[Part], options: ColumnOptions, unit: str | None, undivided: int
) -> Listing:
    """An item for each medium of each record.

    Args:
        address: For messages.
        parts: One, to be divided yet, or both sides of a split.
        options: What the columns hold.
        unit: Of depth readings.
        undivided: Where one part is to be divided, a class of fewer items is all for learning.

    Raises:
        RemodalError: No column holds media, a column isn't there, or its labels can't be classes.
    """
    items: list[Item] = []
    quarantined: list[Quarantined] = []
    try:
        for part in parts:
            for one in _items(part, options, unit):
                if isinstance(one, Quarantined):
                    quarantined.append(one)
                else:
                    items.append(one)
    except RemodalError as error:
        raise RemodalError(f"{address}: {error}") from None
    return Listing(tuple(items) if len(parts) > 1 else split_by_source(items, undivided), tuple(quarantined))


def _items(part: Part, options: ColumnOptions, unit: str | None) -> Iterator[Item | Quarantined]:
    records = part.records
    media = {modality: column for modality in MODALITIES if (column := getattr(options, modality))}
    if not media:
        valid = ", ".join(f"{modality}=COLUMN" for modality in MODALITIES)
        raise RemodalError(f"found no column of media; valid: {valid}; its columns: {', '.join(records.columns)}")
    labels = _labels(records, options)
    groups = _values(records, options.group) if options.group else [None] * len(labels)
    for modality, column in media.items():
        _path(records, column)
        for record, there in enumerate(records.holding(column)):
            if not there:
                continue
            where = f"{part.name}/{record}"
            of = groups[record]
            group = str(of) if of not in (None, "") else where if len(media) > 1 else ""
            where = where if len(media) == 1 else f"{where}/{column}"
            if (label := labels[record]) is None:
                yield Quarantined(where, "has no label")
                continue
            facts = Facts(where, modality, label, part.side, group, unit if modality == "depth" else None)
            try:
                yield records.item(column, record, facts)
            except BadItem as bad:
                yield Quarantined(where, bad.reason)


def _labels(records: Records, options: ColumnOptions) -> list[str | None]:
    """Names of classes, underscores being spaces; None where a record has none.

    Raises:
        RemodalError: Labels are neither words nor numbers, or a number has no name.
    """
    names = records.names(_path(records, options.label))
    if options.names is not None:
        names = _read_names(Path(options.names).expanduser())
    return [_name(value, names, options.label) for value in _values(records, options.label)]


def _name(value: object, names: Sequence[str] | None, column: str) -> str | None:
    if isinstance(value, int) and names is not None:
        if value == -1:  # how public data sets leave labels out
            return None
        if not 0 <= value < len(names):
            raise RemodalError(f"column {column!r}: found class {value}; valid: 0 to {len(names) - 1}, as named")
        value = names[value]
    if value is None:
        return None
    if not isinstance(value, str | int):
        raise RemodalError(f"column {column!r}: found a {type(value).__name__} as label; valid: words or whole numbers")
    return str(value).replace("_", " ")


def _read_names(file: Path) -> list[str]:
    try:
        return file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise RemodalError(f"names={file}: can't be read ({error})") from error


def _values(records: Records, path: str) -> list[Any]:
    column, *inner = _path(records, path)
    values = records.values(column)
    for name in inner:
        values = [value.get(name) if isinstance(value, dict) else None for value in values]
        if not any(value is not None for value in values):
            raise RemodalError(f"found nothing at {path!r}; valid: a column, or outer.inner")
    return values


def _path(records: Records, path: str) -> list[str]:
    """A column's name, and names inside of it; UnknownName where there is no such column."""
    steps = [path] if path in records.columns else path.split(".")
    if steps[0] not in records.columns:
        raise UnknownName("column", steps[0], records.columns)
    return steps
