"""What is said of a public data set, so that its files can be taken as they were downloaded."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from remodal.registry import Registry
from remodal.streams.base import Split
from remodal.streams.datasets.source import Source


class Row(NamedTuple):
    """One file of a data set. path: from the data set's folder. task: of a stream that states its tasks."""

    path: str
    label: str
    split: Split
    group: str = ""
    licence: str = ""
    task: str = ""


class Part(NamedTuple):
    """Something that has to be in the folder. names: its path there, and others it may have. origin: where from."""

    names: tuple[str, ...]
    origin: str


@dataclass(frozen=True)
class Dataset:
    """A public data set in one modality."""

    modality: str
    folders: tuple[str, ...]
    """What its folder is usually called; the root itself counts too."""
    parts: tuple[Part, ...]
    """Lists and media; where the last one comes from is where a missing file does."""
    classes: int
    list_rows: Callable[[Source], Iterator[Row]]
    """The rows that its official lists state, in their order, whether the files are there or not."""
    published: Mapping[Split, int] = field(default_factory=dict)
    """Items of a split; those that the lists state where it is empty."""
    unit: str = ""
    """Of depth (:data:`~remodal.modalities.depth.METRES`)."""


datasets = Registry[Dataset]("dataset")
