"""What a source of data holds, before an order makes tasks of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from remodal.streams.base import Item, Quarantined

FIRST = 5
"""Skipped items that a message lists."""


class Listing(NamedTuple):
    """The items of a source and what was set aside, in an order that the file system has no part in."""

    items: tuple[Item, ...]
    quarantined: tuple[Quarantined, ...]


def learnable(listing: Listing) -> Listing:
    """The listing without the classes that can't be both learned and tested; their items are skipped.

    A class is a label in one modality. It needs at least one train and one test item.
    """
    counts = Counter((item.modality, item.label, item.split) for item in listing.items)
    kept = []
    quarantined = list(listing.quarantined)
    for item in listing.items:
        train, test = (counts[item.modality, item.label, split] for split in ("train", "test"))
        if train and test:
            kept.append(item)
        else:
            found = f"found {item.modality} class {item.label!r} with {train} train and {test} test items"
            quarantined.append(Quarantined(item.id, f"{found}; valid: at least one of each"))
    return Listing(tuple(kept), tuple(quarantined))


def listed(quarantined: Sequence[Quarantined]) -> str:
    """How many items can't be used, and what is wrong with the first ``FIRST``, in one line."""
    first = "; ".join(f"{one.path}: {one.reason}" for one in quarantined[:FIRST])
    more = f"; and {len(quarantined) - FIRST:,} more" if len(quarantined) > FIRST else ""
    return f"{len(quarantined):,} can't be used: {first}{more}"
