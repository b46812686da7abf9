"""Tasks and their order."""

from __future__ import annotations

import random
from collections import Counter
from itertools import groupby
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remodal.errors import UnknownName
from remodal.streams.base import Item, Split, Task
from remodal.streams.files import FileItem
from remodal.streams.orders import ORDERS, make_schedule, task_sizes
from remodal.streams.places import LocalFolder

orders = st.sampled_from(ORDERS.names())
seeds = st.integers(0, 2**32)
class_counts = st.dictionaries(st.sampled_from(["image", "video", "audio", "text"]), st.integers(1, 30), min_size=1)


SPLITS: dict[str, Split] = {"a": "train", "b": "train", "c": "test"}


def make_tasks(items: list[Item], *, order: str, seed: int, classes_per_task: int) -> tuple[Task, ...]:
    return make_schedule(items, order=order, seed=seed, classes_per_task=classes_per_task).tasks


def items_of(classes: dict[str, int], task: str = "") -> list[Item]:
    """Two train items and a test item of each of so many classes a modality."""
    return [
        FileItem(
            f"{modality}/{label}/{name}",
            modality,
            f"class {label}",
            split,
            "",
            "",
            place=LocalFolder(Path()),
            task=task,
        )
        for modality, count in classes.items()
        for label in range(count)
        for name, split in SPLITS.items()
    ]


@given(class_counts, orders, seeds, st.integers(1, 8))
def test_every_class_is_in_one_task_with_all_its_items(
    classes: dict[str, int], order: str, seed: int, classes_per_task: int
) -> None:
    items = items_of(classes)
    tasks = make_tasks(items, order=order, seed=seed, classes_per_task=classes_per_task)
    assert [task.index for task in tasks] == list(range(len(tasks)))
    found = Counter((task.modality, name) for task in tasks for name in task.classes)
    assert found == Counter({(item.modality, item.label): 1 for item in items})
    for task in tasks:
        of_task = [item for item in items if item.modality == task.modality and item.label in task.classes]
        assert Counter(task.train) == Counter(item for item in of_task if item.split == "train")
        assert Counter(task.test) == Counter(item for item in of_task if item.split == "test")


@given(class_counts, orders, seeds, st.randoms())
def test_the_order_of_the_items_plays_no_part(
    classes: dict[str, int], order: str, seed: int, shuffler: random.Random
) -> None:
    items = items_of(classes)
    shuffled = items.copy()
    shuffler.shuffle(shuffled)
    made, again = (make_tasks(each, order=order, seed=seed, classes_per_task=4) for each in (items, shuffled))
    assert made == again


@given(st.integers(1, 200), st.integers(1, 20))
def test_task_sizes_are_even_and_leave_no_class_alone(classes: int, classes_per_task: int) -> None:
    sizes = task_sizes(classes, classes_per_task)
    assert sum(sizes) == classes
    assert max(sizes) - min(sizes) <= 1
    if classes > 1 and classes_per_task > 1:
        assert min(sizes) >= 2
    if classes_per_task > 2:
        assert max(sizes) <= classes_per_task


@given(class_counts, seeds)
def test_a_modality_has_the_same_tasks_in_every_order_and_company(classes: dict[str, int], seed: int) -> None:
    alone = next(iter(classes))

    def tasks_of(kept: dict[str, int], order: str) -> set[tuple[str, ...]]:
        tasks = make_tasks(items_of(kept), order=order, seed=seed, classes_per_task=4)
        return {task.classes for task in tasks if task.modality == alone}

    expected = tasks_of({alone: classes[alone]}, "random")
    assert all(tasks_of(classes, order) == expected for order in ORDERS.names())


@given(class_counts, seeds)
def test_sequential_finishes_a_modality_before_the_next(classes: dict[str, int], seed: int) -> None:
    tasks = make_tasks(items_of(classes), order="sequential", seed=seed, classes_per_task=4)
    assert len(list(groupby(task.modality for task in tasks))) == len(classes)


def test_random_interleaves_the_modalities() -> None:
    tasks = make_tasks(items_of({"image": 20, "text": 20}), order="random", seed=0, classes_per_task=4)
    assert len(list(groupby(task.modality for task in tasks))) > 2


@pytest.mark.parametrize("order", ORDERS.names())
def test_the_seed_decides_classes_and_order(order: str) -> None:
    made = [
        make_tasks(items_of({"image": 8, "text": 8, "audio": 8}), order=order, seed=seed, classes_per_task=4)
        for seed in range(5)
    ]
    assert len({tuple(task.modality for task in tasks) for tasks in made}) > 1
    assert len({frozenset(task.classes for task in tasks) for tasks in made}) > 1


@pytest.mark.parametrize("order", ORDERS.names())
def test_stated_tasks_are_kept_whatever_their_size(order: str) -> None:
    items = [*items_of({"text": 7}, task="first"), *items_of({"image": 5})]
    alone = FileItem("text/z", "text", "zebra", "train", "", "", place=LocalFolder(Path()), task="second")
    tasks = make_tasks([*items, alone], order=order, seed=0, classes_per_task=4)
    text = [set(task.classes) for task in tasks if task.modality == "text"]
    assert len(text) == 2
    assert {"zebra"} in text
    assert {f"class {number}" for number in range(7)} in text
    assert sorted(len(task.classes) for task in tasks if task.modality == "image") == [2, 3]


def test_an_unknown_order_gets_the_nearest_name() -> None:
    with pytest.raises(UnknownName, match="unknown order 'randon'; did you mean 'random'"):
        make_tasks(items_of({"text": 2}), order="randon", seed=0, classes_per_task=4)
