"""Parts of a stream's items: validation items in place of the test items, and a few training items a class."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

import numpy as np

from remodal.streams.base import Item
from remodal.streams.splits import split_by_source


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
