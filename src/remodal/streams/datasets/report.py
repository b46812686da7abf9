"""What was found of a data set, beside what was published of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from remodal.streams.base import Split
from remodal.streams.datasets.base import Dataset, Row
from remodal.streams.datasets.source import Source

FIRST = 3
"""Missing files that a line names."""


class Report(NamedTuple):
    """The counts of a data set, found and published, and what is missing. As text it is one line for a person."""

    name: str
    modality: str
    classes: int
    items: Mapping[Split, int]
    published_classes: int
    published: Mapping[Split, int]
    missing: tuple[str, ...]
    origin: str
    notes: tuple[str, ...]

    @property
    def whole(self) -> bool:
        """Whether nothing is missing, and the counts are those that were published."""
        same = all(self.items.get(split, 0) == count for split, count in self.published.items())
        return same and self.classes == self.published_classes and not self.missing

    def __str__(self) -> str:
        found = f"{self.name}: {self.modality}, {_counts(self.classes, self.items)}"
        if self.whole:
            return "; ".join([f"{found}, as published", *self.notes])
        differs = [f"published: {_counts(self.published_classes, self.published)}"]
        if self.missing:
            more = f" and {len(self.missing) - FIRST:,} more" if len(self.missing) > FIRST else ""
            differs.append(f"missing: {', '.join(self.missing[:FIRST])}{more} ({self.origin})")
        return "; ".join([found, *differs, *self.notes])


def _counts(classes: int, items: Mapping[Split, int]) -> str:
    return ", ".join([f"{classes} classes", *(f"{count:,} {split}" for split, count in items.items())])


def _of_each_split(rows: Sequence[Row]) -> dict[Split, int]:
    found = Counter(row.split for row in rows)
    return {"train": found["train"], "test": found["test"]}


def reported(source: Source, dataset: Dataset, stated: Sequence[Row], there: Sequence[Row]) -> Report:
    """Count the rows of a data set that its lists state, and those of them whose file is there."""
    return Report(
        source.name,
        dataset.modality,
        len({row.label for row in there}),
        _of_each_split(there),
        dataset.classes,
        dataset.published or _of_each_split(stated),
        tuple(source.missing),
        dataset.parts[-1].origin,
        tuple(source.notes),
    )
