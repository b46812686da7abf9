"""The steps in which a stream's training items come."""

from __future__ import annotations

from collections import Counter, defaultdict
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remodal.streams.base import Item, Step
from remodal.streams.delivery import AT_ONCE, TURNS, at_once
from remodal.streams.files import FileItem
from remodal.streams.orders import ORDERS, Schedule, make_schedule
from remodal.streams.places import LocalFolder

orders = st.sampled_from(ORDERS.names())
seeds = st.integers(0, 2**32)
modalities = st.sampled_from(["image", "video", "audio", "text"])
class_sizes = st.dictionaries(modalities, st.lists(st.integers(1, 12), min_size=1, max_size=9), min_size=1)


def schedule(sizes: dict[str, list[int]], order: str, seed: int = 0) -> Schedule:
    """Of classes with so many training items each, and a test item, by modality."""
    items: list[Item] = [
        FileItem(f"{modality}/{label}/{number}", modality, f"class {label}", split, "", "", place=LocalFolder(Path()))
        for modality, counts in sizes.items()
        for label, count in enumerate(counts)
        for number in range(count + 1)
        for split in ["train" if number else "test"]
    ]
    return make_schedule(items, order=order, seed=seed, classes_per_task=2)


@given(class_sizes, orders, seeds)
def test_every_training_item_comes_once_and_no_test_item(sizes: dict[str, list[int]], order: str, seed: int) -> None:
    made = schedule(sizes, order, seed)
    assert Counter(item for step in made.steps for item in step.train) == Counter(
        item for task in made.tasks for item in task.train
    )
    for step in made.steps:
        assert step.train
        assert {item.modality for item in step.train} == {step.modality}
        assert {item.split for item in step.train} == {"train"}
    assert made == schedule(sizes, order, seed)


@given(class_sizes, orders, seeds)
def test_tasks_are_complete_in_their_order_and_have_come_by_then(
    sizes: dict[str, list[int]], order: str, seed: int
) -> None:
    made = schedule(sizes, order, seed)
    assert [step.completes for step in made.steps if step.completes is not None] == list(range(len(made.tasks)))
    seen: set[tuple[str, str]] = set()
    for step in made.steps:
        seen |= {(item.modality, item.label) for item in step.train}
        if step.completes is not None:
            task = made.tasks[step.completes]
            assert {(task.modality, name) for name in task.classes} <= seen


@given(class_sizes, st.sampled_from(["random", "sequential"]), seeds)
def test_a_step_of_random_and_sequential_is_a_whole_task(sizes: dict[str, list[int]], order: str, seed: int) -> None:
    made = schedule(sizes, order, seed)
    assert made.steps == tuple(Step(task.modality, task.train, task.index) for task in made.tasks)
    assert [step.classes for step in made.steps] == [task.classes for task in made.tasks]


@given(class_sizes, seeds)
def test_what_comes_at_once_is_of_different_modalities(sizes: dict[str, list[int]], seed: int) -> None:
    tasks = schedule(sizes, "random", seed).tasks
    groups = at_once(tasks)
    assert sorted(task.index for group in groups for task in group) == list(range(len(tasks)))
    left = list(tasks)
    for group in groups:
        others = {task.modality for task in left}
        assert len(group) == len({task.modality for task in group}) == min(AT_ONCE, len(others))
        assert group[0] == left[0]
        left = [task for task in left if task not in group]
    line = [task for group in groups for task in group]
    assert at_once(line) == groups


@given(class_sizes, seeds)
def test_mixed_takes_the_tasks_of_a_group_by_turns(sizes: dict[str, list[int]], seed: int) -> None:
    made = schedule(sizes, "mixed", seed)
    steps = iter(made.steps)
    for group in at_once(made.tasks):
        for turn in range(1, TURNS + 1):
            for task in group:
                parts = Counter(item.label for item in task.train)
                coming = {name for name, size in parts.items() if size > TURNS - turn}
                if coming:
                    step = next(steps)
                    assert (step.modality, set(step.classes)) == (task.modality, coming)
                    assert step.completes == (task.index if turn == TURNS else None)
                    for name, count in Counter(item.label for item in step.train).items():
                        assert abs(count - parts[name] / TURNS) < 1
    assert next(steps, None) is None


@given(class_sizes, seeds)
def test_blurry_classes_return_with_later_tasks_of_their_modality(sizes: dict[str, list[int]], seed: int) -> None:
    made, unblurred = schedule(sizes, "blurry", seed), schedule(sizes, "random", seed)
    assert made.tasks == unblurred.tasks
    returned: dict[tuple[str, str], int] = defaultdict(int)
    for step, task in zip(made.steps, made.tasks, strict=True):
        assert step.classes[: len(task.classes)] == task.classes  # the new ones come first
        before = {name for earlier in made.tasks[: task.index] for name in earlier.classes}
        assert set(step.classes[len(task.classes) :]) <= before
        for item in step.train:
            returned[task.modality, item.label] += item.label not in task.classes
    for task in made.tasks:
        last = all(other.modality != task.modality for other in made.tasks[task.index + 1 :])
        for name, size in Counter(item.label for item in task.train).items():
            assert returned[task.modality, name] == (0 if last else int(0.3 * size))


@pytest.mark.parametrize("order", ["mixed", "blurry"])
def test_the_seed_decides_which_items_come_when(order: str) -> None:
    sizes = {"image": [9] * 6, "text": [9] * 6}
    made = [[{item.id for item in step.train} for step in schedule(sizes, order, seed).steps] for seed in range(3)]
    assert made[0] != made[1] != made[2] != made[0]
