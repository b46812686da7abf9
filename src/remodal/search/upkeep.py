"""What LanceDB keeps beside the rows of a large table, so that it is searched and looked up without reading all of it.

A small table needs none of it: comparing with every row is exact, and fast enough. From ``EXACT_ROWS`` on there is an
index of the places (IVF with codes of one bit a number, RaBitQ; the nearest by their codes are compared again by
their stored places), and one of each column that rows are looked up by. How the numbers were chosen stands in
``docs/design.md``.
"""

from __future__ import annotations

from datetime import timedelta
from math import ceil
from typing import Any, NamedTuple

from remodal.features.progress import Progress

OLD = timedelta(days=1)
"""Superseded states of the table are kept so long, for processes that still read them."""
EXACT_ROWS = 50_000
"""Rows up to which a search compares with each one."""
EXACT_FEW = 5_000
"""Rows up to which a restricted search in a large table compares with each one, which takes ten times as long a row."""
PARTITION_ROWS = 4_096
"""Rows of a partition, when the index of the places is made."""
PROBES = 128
"""Partitions that a search looks into."""
MAX_PROBES = 1_024
"""Partitions that it looks into at most where it is restricted to few rows, which it has to look further for."""
REFINED = 20
"""So many times the files that are asked for are compared by their stored places."""
NEW_ROWS = 10_000
"""Rows that may be in no index of the places yet: each search compares with all of them."""
SEGMENTS = 8
"""Pieces of the index of the places, each of which every search looks into; the next one makes it anew, as one."""
DEAD_SHARE = 0.2
"""Of the rows on disk: when so many were replaced or removed, the rest is written again."""
SAMPLE, ROUNDS = 64, 10
"""Rows a partition that the partitions are chosen from, and how often they are improved: a twentieth of the work that
LanceDB does by default, which would take most of the time."""
NAME = "places-"
LOOKED_UP = {"id": "BTree", "content": "BTree", "path": "BTree", "modality": "Bitmap"}


class _Places(NamedTuple):
    """The index of the places. new: rows that it doesn't hold yet."""

    name: str
    partitions: int
    segments: int
    new: int


def tidy(table: Any, progress: Progress) -> None:
    """Join what updates left where that pays, drop states nobody reads, and bring the indices up to date."""
    rows, places = table.count_rows(), _places(table)
    if places is not None and places.new < NEW_ROWS and _dead_share(table, rows) < DEAD_SHARE:
        return  # an index of many rows is not touched for a few
    with progress.work("tidying the index", 1) as count:
        table.optimize(cleanup_older_than=OLD)
        count()
    if places is None and rows >= EXACT_ROWS:
        _look_up(table, progress)
        _place(table, rows, progress)
    elif places is not None and (rows > 2 * places.partitions * PARTITION_ROWS or places.segments >= SEGMENTS):
        _place(table, rows, progress)


def exact(rows: int, wanted: int) -> bool:
    """Whether a search for the nearest of ``wanted`` rows among ``rows`` compares with each of them.

    >>> exact(40_000, 40_000), exact(200_000, 40_000), exact(200_000, 4_000)
    (True, False, True)
    """
    return rows < EXACT_ROWS or wanted < EXACT_FEW


def probes(rows: int, wanted: int) -> int:
    """Partitions to look into for the nearest of ``wanted`` rows among ``rows``, so as to see as many of those.

    >>> probes(10_000_000, 10_000_000), probes(10_000_000, 2_000_000), probes(10_000_000, 60_000)
    (128, 640, 1024)
    """
    return min(ceil(PROBES * rows / max(wanted, 1)), MAX_PROBES)


def _places(table: Any) -> _Places | None:
    """The index of the places; the larger one, where a process died between making it and dropping the other."""
    found = [
        _Places(one.name, int(one.name.removeprefix(NAME)), one.num_segments, one.num_unindexed_rows)
        for one in table.list_indices()
        if one.name.startswith(NAME)
    ]
    return max(found, key=lambda one: one.partitions, default=None)


def _dead_share(table: Any, rows: int) -> float:
    fragments = table.stats()["fragment_stats"]
    written = fragments["num_fragments"] * fragments["lengths"]["mean"]
    return float(1 - rows / written) if written else 0.0


def _look_up(table: Any, progress: Progress) -> None:
    from lancedb import index as kinds

    with progress.work("indexing the columns", len(LOOKED_UP)) as count:
        for column, kind in LOOKED_UP.items():
            table.create_index(column, config=getattr(kinds, kind)())
            count()


def _place(table: Any, rows: int, progress: Progress) -> None:
    """Make the index of the places, in place of the one that there may be."""
    from lancedb.index import IvfRq

    partitions = max(rows // PARTITION_ROWS, 1)
    name = f"{NAME}{partitions}"  # LanceDB doesn't tell of how many it is
    kind = IvfRq(distance_type="cosine", num_partitions=partitions, sample_rate=SAMPLE, max_iterations=ROUNDS)
    with progress.work("indexing the places", 1) as count:
        table.create_index("vector", config=kind, name=name)
        for one in table.list_indices():
            if one.name.startswith(NAME) and one.name != name:
                table.drop_index(one.name)
        count()
