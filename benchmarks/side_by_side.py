"""Independent pieces of a benchmark, in processes of one thread each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import TypeVar

import torch

from remodal.training.threads import bound_spinning

Piece = TypeVar("Piece")
Found = TypeVar("Found")


def side_by_side(work: Callable[[Piece], Found], pieces: Sequence[Piece], jobs: int) -> Iterator[Found]:
    """What ``work`` finds of each piece, in their order; ``work`` and pieces can be pickled.

    What it computes doesn't depend on ``jobs``: each piece is computed by one thread, in a process of its own where
    there are several.
    """
    bound_spinning()
    if jobs == 1:
        _start()
        yield from map(work, pieces)
        return
    with ProcessPoolExecutor(min(jobs, len(pieces)), get_context("spawn"), initializer=_start) as pool:
        yield from pool.map(work, pieces)


def _start() -> None:
    torch.set_num_threads(1)
