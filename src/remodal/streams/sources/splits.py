"""How others call the two sides of a split."""

from __future__ import annotations

from collections.abc import Collection

from remodal.errors import RemodalError, UnknownName
from remodal.streams.base import Split

TRAIN = ("train", "training")
TEST = ("test", "testing", "validation", "valid", "val")
"""What is measured on, the first that is there: a data set's validation items where it has no others with labels."""


def sides(names: Collection[str], train: str | None = None, test: str | None = None) -> dict[str, Split]:
    """Which of a data set's splits is which side; one alone, for learning, where it is to be divided yet.

    names: of all its splits. train, test: those that the user states.

    Raises:
        UnknownName: There is no split of a stated name.
        RemodalError: None of several is what the names say; they have to be stated.

    >>> sides(["train", "validation", "test"])
    {'train': 'train', 'test': 'test'}
    >>> sides(["everything"])
    {'everything': 'train'}
    """
    found: dict[str, Split] = {}
    for name in (train, test):
        if name is not None and name not in names:
            raise UnknownName("split", name, names)
    learned = train or next((name for name in TRAIN if name in names), None)
    tested = test or next((name for name in TEST if name in names), None)
    if learned is None and len(names) == 1:
        return dict.fromkeys(names, "train")
    if learned is None:
        raise RemodalError(
            f"found the splits {', '.join(names)}; valid: one called train, or train=NAME in the options"
        )
    found[learned] = "train"
    if tested is not None and tested != learned:
        found[tested] = "test"
    return found
