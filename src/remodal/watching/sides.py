"""Which of the items that arrive are held out to measure with."""

from __future__ import annotations

from remodal.saved.held_out import PER_CLASS
from remodal.streams.splits import TEST_SHARE


def is_held_out(number: int, held_out: int) -> bool:
    """Whether an item is held out that is the ``number``-th of its class, from 0, of which ``held_out`` are by now.

    Every fourth is, until the model keeps as many of the class as it ever does: no item is left unused.

    >>> is_held_out(3, held_out=0), is_held_out(4, held_out=1), is_held_out(23, held_out=PER_CLASS)
    (True, False, False)
    """
    return number % TEST_SHARE == TEST_SHARE - 1 and held_out < PER_CLASS
