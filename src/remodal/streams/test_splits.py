"""The default split."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from remodal.streams.files import FileItem
from remodal.streams.places import LocalFolder
from remodal.streams.splits import split_by_source


def item(name: str, label: str = "dog", group: str = "") -> FileItem:
    return FileItem(f"text/{label}/{name}", "text", label, "train", group, "", place=LocalFolder(Path()))


def held_out(items: list[FileItem]) -> set[str]:
    return {each.id for each in split_by_source(items) if each.split == "test"}


@given(st.integers(2, 200))
def test_a_quarter_of_a_class_is_for_testing_and_at_least_one_item(count: int) -> None:
    assert len(held_out([item(f"{number}.txt") for number in range(count)])) == max(1, count // 4)


def test_other_classes_play_no_part() -> None:
    dogs = [item(f"{number}.txt") for number in range(20)]
    cats = [item(f"{number}.txt", "cat") for number in range(20)]
    assert held_out(dogs) <= held_out(cats + dogs)


def test_a_new_file_moves_at_most_one_other() -> None:
    before = [item(f"{number}.txt") for number in range(20)]
    for number in range(20, 40):
        assert len(held_out([*before, item(f"{number}.txt")]) - {f"text/dog/{number}.txt"} - held_out(before)) <= 1


def test_it_is_the_same_on_every_machine() -> None:
    assert held_out([item(f"{number}.txt") for number in range(8)]) == {"text/dog/1.txt", "text/dog/4.txt"}


grouped = st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from("tuvwxyz") | st.just("")), max_size=60)


@given(grouped)
def test_no_group_is_on_both_sides_in_any_class(drawn: list[tuple[str, str]]) -> None:
    items = [item(f"{number}.txt", label, group) for number, (label, group) in enumerate(drawn)]
    sides = defaultdict(set)
    for each in split_by_source(items):
        sides[each.group or each.id].add(each.split)
    assert all(len(side) == 1 for side in sides.values())


@given(st.lists(st.integers(1, 9), min_size=2, max_size=12))
def test_a_class_with_groups_of_its_own_has_both_sides(sizes: list[int]) -> None:
    items = [
        item(f"{group}-{number}.txt", group=str(group)) for group, size in enumerate(sizes) for number in range(size)
    ]
    assert 0 < len(held_out(items)) < len(items)


def test_a_group_that_is_most_of_the_class_is_learned_from() -> None:
    large = [item(f"large-{number}.txt", group="large") for number in range(90)]
    small = [item(f"small-{number}.txt", group=f"small {number}") for number in range(10)]
    assert held_out(large + small) <= {each.id for each in small}


def test_groups_that_every_class_shares_are_split_the_same_way() -> None:
    people = [f"person {number}" for number in range(8)]
    items = [item(person, label, person) for label in ("clap", "wave", "squat") for person in people]
    sides = {(each.label, each.group): each.split for each in split_by_source(items)}
    for label in ("clap", "wave", "squat"):
        assert sum(sides[label, person] == "test" for person in people) == 2


def test_a_single_group_is_not_cut() -> None:
    assert held_out([item(f"{number}.txt", group="one") for number in range(8)]) == set()
