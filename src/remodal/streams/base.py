"""What a stream is made of: items; tasks, by which is measured; steps, in which is learned; and the stream of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple

from remodal.streams.labels import checked_label

Split = Literal["train", "test"]


@dataclass(frozen=True)
class Item(ABC):
    """One encoded medium with its label; where its bytes come from is a subclass's matter.

    The label is kept as :func:`~remodal.streams.labels.checked_label` writes it. Raises BadItem where it can't be one.
    """

    id: str
    modality: str
    label: str
    split: Split
    group: str
    """Source that must not stand on both sides of a split (designer, 3-D model, speaker, ...); may be empty."""
    licence: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "label", checked_label(self.label, self.id))

    @abstractmethod
    def read(self) -> bytes:
        """The encoded medium. Raises BadItem where it can't be read."""

    @property
    def read_as(self) -> str:
        """The modality whose reader decodes the medium: the item's own, unless it comes in disguise."""
        return self.modality

    @property
    def file(self) -> Path | None:
        """The file that holds it, where that is on this machine; it may hold more."""
        return None

    @property
    def unit(self) -> str | None:
        """Stated unit of depth readings (``"mm"``, ``"cm"``, ``"m"``, ``"sunrgbd"``), where there is one."""
        return None

    @property
    def task(self) -> str:
        """Name of the task that a manifest puts it in; empty where the order makes the tasks."""
        return ""


class Column(NamedTuple):
    """One candidate answer: a class of a modality. Two modalities may share a name.

    >>> str(Column("image", "cat"))
    'image:cat'
    """

    modality: str
    name: str

    def __str__(self) -> str:
        return f"{self.modality}:{self.name}"


class Quarantined(NamedTuple):
    """An item that was set aside, and why."""

    path: str
    reason: str


@dataclass(frozen=True)
class Task:
    """A classification task in one modality: its classes, and its items. The classes' names are kept as labels are."""

    index: int
    modality: str
    classes: tuple[str, ...]
    train: tuple[Item, ...]
    test: tuple[Item, ...]

    def __post_init__(self) -> None:
        named = dict.fromkeys(checked_label(name, f"task {self.index}") for name in self.classes)
        object.__setattr__(self, "classes", tuple(named))


@dataclass(frozen=True)
class Step:
    """What is learned at one go: training items of one modality, of one task or of several."""

    modality: str
    train: tuple[Item, ...]
    completes: int | None
    """Index of the task that counts as learned after this step; None where more of it is to come."""

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes of its items, in the order in which they come."""
        return tuple(dict.fromkeys(item.label for item in self.train))


@dataclass(frozen=True)
class Stream:
    """Tasks in the order in which they are complete, and the steps in which they are to be learned.

    Iterating gives the tasks. In the orders ``random`` and ``sequential`` each step is a whole task, so that learning
    task after task is the same as learning step after step.
    """

    name: str
    order: str
    seed: int
    tasks: tuple[Task, ...]
    steps: tuple[Step, ...]
    quarantined: tuple[Quarantined, ...] = field(default=())
    """What was set aside when the stream was listed; what fails to decode comes later."""

    def __iter__(self) -> Iterator[Task]:
        return iter(self.tasks)

    def __len__(self) -> int:
        return len(self.tasks)
