"""The two sides of a split: the default one, for data that come without, and what stands on both of any."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from hashlib import sha256
from typing import TypeVar

from remodal.streams.base import Item, Split

TEST_SHARE = 4  # one item in four is for testing

AnyItem = TypeVar("AnyItem", bound=Item)


def split_by_source(items: Sequence[AnyItem], undivided: int = 0) -> tuple[AnyItem, ...]:
    """Put a quarter of each class (at least one item) in test, the rest in train; no group is on both sides.

    An item without a group is a group of its own. Groups are taken in the order of a hash of their name, so
    the split looks random, needs no seed, is the same everywhere, and hardly moves when a file is added.
    A class of a single group can't be split: it is all train, or all test where another class decided so.

    Args:
        items: Items of any modalities and labels; the split they state is not looked at.
        undivided: A class of fewer items is all train, unless another class decided on its groups.

    Returns:
        The same items, in the same order, each with its split.
    """
    classes: dict[tuple[str, str], dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for item in items:
        classes[item.modality, item.label][_source(item)] += 1
    sides: dict[str, Split] = {}
    for _, sizes in sorted(classes.items()):
        if sum(sizes.values()) >= undivided:
            _decide(sizes, sides)
    return tuple(replace(item, split=sides.get(_source(item), "train")) for item in items)


def on_both_sides(items: Sequence[Item], contents: Mapping[str, bytes]) -> list[tuple[str, str]]:
    """Test items that are a training item too, whatever they are called: their ids, and the training items' ids.

    contents: what items hold, by id, or a hash of it and of how it is read; items that have none are left out.
    """
    learned = {contents[item.id]: item.id for item in items if item.split == "train" and item.id in contents}
    tested = [item.id for item in items if item.split == "test" and contents.get(item.id) in learned]
    return [(one, learned[contents[one]]) for one in tested]


def _source(item: Item) -> str:
    return f"group {item.group}" if item.group else f"item {item.id}"


def _decide(sizes: dict[str, int], sides: dict[str, Split]) -> None:
    """Choose sides for the sources of one class (``sizes``: items a source) that no earlier class decided."""
    total = sum(sizes.values())
    wanted = max(1, total // TEST_SHARE)
    tested = sum(size for source, size in sizes.items() if sides.get(source) == "test")
    trained = any(sides.get(source) == "train" for source in sizes)
    free = [source for source in sizes if source not in sides]
    # A source that is most of the class would leave little to learn from, so it is tested on last of all.
    free.sort(key=lambda source: (2 * sizes[source] > total, sha256(source.encode()).digest()))
    for position, source in enumerate(free, start=1):
        needed_for_train = not trained and position == len(free)
        if tested < wanted and not needed_for_train:
            sides[source] = "test"
            tested += sizes[source]
        else:
            sides[source] = "train"
            trained = True
