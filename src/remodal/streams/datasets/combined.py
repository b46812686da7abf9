"""Streams of several data sets, with the tasks into which their classes go: the settings of papers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from itertools import islice
from typing import NamedTuple

from remodal.registry import Registry
from remodal.streams.base import Split
from remodal.streams.datasets.base import Row, datasets
from remodal.streams.orders import task_sizes

Rows = Mapping[str, Sequence[Row]]
"""The rows of each data set, by its name."""


class Combination(NamedTuple):
    """Data sets that make one stream. arrange: states the task of each row. says: how, for a person."""

    datasets: tuple[str, ...]
    arrange: Callable[[Rows], Rows]
    says: str


combinations = Registry[Combination]("stream")

CLASSES_PER_TASK = {"imagenet-100": 20, "ucf101": 21, "esc50": 10, "sunrgbd": 4}
FIRST_OF_VGGSOUND: dict[Split, int] = {"train": 10_000, "test": 2_000}


def several_tasks(rows: Rows) -> Rows:
    """Each data set's classes in tasks as even as can be, in the order of a hash of their names.

    So no task has a theme (ESC-50 lists animals first, ImageNet fish), and the tasks are the same everywhere.
    """
    arranged = {}
    for name, of_dataset in rows.items():
        labels = sorted({row.label for row in of_dataset}, key=lambda label: sha256(label.encode()).digest())
        rest, task_of = iter(labels), dict[str, str]()
        for number, size in enumerate(task_sizes(len(labels), CLASSES_PER_TASK[name]), start=1):
            task_of.update((label, f"{name} {number}") for label in islice(rest, size))
        arranged[name] = [row._replace(task=task_of[row.label]) for row in of_dataset]
    return arranged


def one_task_each(rows: Rows) -> Rows:
    """A task for each data set; of VGGSound the first clips of its list that are there.

    A class is in one task: of a name that two data sets of a modality share, the later one's items are left out.
    """
    owner: dict[tuple[str, str], str] = {}
    arranged = {}
    for name, of_dataset in rows.items():
        modality = datasets.get(name).modality
        taken = _first_of_each_split(of_dataset) if name == "vggsound" else of_dataset
        own = [row for row in taken if owner.setdefault((modality, row.label), name) == name]
        arranged[name] = [row._replace(task=name) for row in own]
    return arranged


def _first_of_each_split(rows: Sequence[Row]) -> list[Row]:
    return [
        row
        for split, most in FIRST_OF_VGGSOUND.items()
        for row in islice((one for one in rows if one.split == split), most)
    ]


combinations.add("comm-paper")(
    Combination(
        ("imagenet-100", "ucf101", "esc50", "sunrgbd"),
        several_tasks,
        "20 classes of image, 20 or 21 of video, 10 of audio, 3 or 4 of depth make a task",
    )
)
combinations.add("cmcl")(
    Combination(
        ("ucf101", "esc50", "nyuv2", "vggsound"),
        one_task_each,
        "each data set is a task; of vggsound the first 10,000 and 2,000 clips, without classes that esc50 has too",
    )
)
