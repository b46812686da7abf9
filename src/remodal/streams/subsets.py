"""Parts of a stream's items: validation items in place of the test items, a few training items a class, samples."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import TypeVar

import numpy as np

from remodal.streams.base import Item
from remodal.streams.splits import split_by_source

Entry = TypeVar("Entry")


def validation(items: Iterable[Item]) -> tuple[Item, ...]:
    """The training items, a quarter of each class held out by source; the test items are left out.

    What is chosen by these has not seen a test item (:func:`~remodal.streams.splits.split_by_source` says how they are
    drawn).
    """
    return split_by_source([item for item in items if item.split == "train"])


def few_shot(items: Iterable[Item], most: int, seed: int) -> tuple[Item, ...]:
    """At most ``most`` training items of each class, drawn from ``seed``, and all test items, in their order."""
    classes: dict[tuple[str, str], list[str]] = defaultdict(list)
    listed = tuple(items)
    for item in listed:
        if item.split == "train":
            classes[item.modality, item.label].append(item.id)
    kept: set[str] = set()
    for (modality, label), ids in classes.items():
        generator = np.random.default_rng([seed, *f"{modality}/{label}".encode()])
        kept.update(sorted(ids)[position] for position in generator.permutation(len(ids))[:most])
    return tuple(item for item in listed if item.split == "test" or item.id in kept)


def samples(items: Iterable[Item], most: int) -> tuple[Item, ...]:
    """At most ``most`` items of each class, spread over those there are."""
    classes: dict[tuple[str, str], list[Item]] = defaultdict(list)
    for item in items:
        classes[item.modality, item.label].append(item)
    return tuple(item for own in classes.values() for item in spread(own, most))


def spread(entries: Sequence[Entry], count: int) -> list[Entry]:
    """At most ``count`` of ``entries``, evenly spaced: neighbours tend to be of one source.

    >>> spread([3, 5, 7, 9, 11], 2), spread([1, 2], 5), spread([1, 2], 0)
    ([3, 7], [1, 2], [])
    """
    if count <= 0:
        return []
    step = max(1.0, len(entries) / count)
    return [entries[int(at * step)] for at in range(min(count, len(entries)))]
