"""Independent pieces of a benchmark, in processes of one thread each."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch
from arguments import Piece

from remodal.files import write_json
from remodal.training.threads import bound_spinning


def side_by_side(
    work: Callable[[Piece], Any], pieces: Sequence[Piece], jobs: int, kept: Path | None = None
) -> Iterator[Any]:
    """What ``work``, which can be pickled, finds of each piece, as JSON gives it back, in their order.

    What it computes doesn't depend on ``jobs``: each piece is computed by one thread, in a process of its own where
    there are several. kept: a folder with a file for each piece that was found, by its name; these aren't computed
    again.
    """
    bound_spinning()
    found = partial(_found, work, kept)
    if jobs == 1:
        _start()
        yield from map(found, pieces)
        return
    with ProcessPoolExecutor(min(jobs, len(pieces)), get_context("spawn"), initializer=_start) as pool:
        yield from pool.map(found, pieces)


def _found(work: Callable[[Piece], Any], kept: Path | None, piece: Piece) -> Any:
    file = kept / f"{piece.name}.json" if kept else None
    if file and file.exists():
        return json.loads(file.read_text(encoding="utf-8"))["found"]
    found = json.loads(json.dumps(work(piece)))
    if file:
        write_json(file, {"found": found})
    return found


def _start() -> None:
    torch.set_num_threads(1)
