"""Which rows of an index are meant, in SQL as LanceDB takes it: what stands in it is quoted, and no list is long."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice, product
from pathlib import Path
from typing import TypeVar

Of = TypeVar("Of")

WINDOW = "start IS NOT NULL"
"""That it is a window of a file, and no whole file."""
LISTED = 1_024
"""Values that one condition lists at most; more take several."""
SLICE = 65_536
"""Rows that are read at once, about: so many take some 50 MB without their vectors."""
NONE = "false"


def quoted(value: str) -> str:
    """A string of SQL."""
    return "'" + value.replace("'", "''") + "'"


def among(column: str, values: Iterable[str]) -> Iterator[str]:
    """Conditions that together hold of the rows that have one of ``values``."""
    for some in batched(values, LISTED):
        yield f"{column} IN ({', '.join(map(quoted, some))})"


def of(paths: Iterable[str]) -> Iterator[str]:
    """Conditions that together hold of the rows of some files."""
    return among("path", (path for path in paths if _is_text(path)))


def below(folder: Path) -> str:
    """That the file lies below ``folder``, or is it.

    A range and no pattern: names may hold what means something in a pattern, and an index of the column answers it.

    >>> below(Path("/it's"))
    "(path = '/it''s' OR (path >= '/it''s/' AND path < '/it''s0'))"
    """
    name = str(folder)
    if not _is_text(name):
        return NONE  # no such name is ever stored
    inside = name.rstrip(os.sep) + os.sep
    after = inside[:-1] + chr(ord(os.sep) + 1)
    return f"(path = {quoted(name)} OR (path >= {quoted(inside)} AND path < {quoted(after)}))"


def _is_text(name: str) -> bool:
    return name.encode(errors="replace").decode() == name


def stale(lineage: Mapping[str, str]) -> str:
    """That the file was embedded when the model had not learned what it has now. lineage: the model's, by modality."""
    each = (f"(modality = {quoted(name)} AND lineage != {quoted(learned)})" for name, learned in lineage.items())
    return " OR ".join(each) or NONE


def share(part: float) -> str:
    """Conditions that hold of about that part of all rows, the same ones each time; ids are hashes.

    >>> share(0.5)
    "id < '80000000'"
    """
    return f"id < '{int(part * 16**8):08x}'"


def slices(rows: int) -> Iterator[str]:
    """Conditions on ``id``, of which exactly one holds of each row, and each of about ``SLICE`` of ``rows`` at most.

    An id is a hash, so that rows are spread evenly over its first digits.

    >>> list(slices(10))
    ["id >= '' AND id < 'g'"]
    >>> len(list(slices(1_000_000)))
    16
    """
    digits = 0
    while rows > SLICE * 16**digits:
        digits += 1
    for first in map("".join, product("0123456789abcdef", repeat=digits)):
        yield f"id >= '{first}' AND id < '{first}g'"


def batched(values: Iterable[Of], size: int) -> Iterator[Sequence[Of]]:
    """Lists of ``size`` at most.

    >>> list(batched("abc", 2))
    [['a', 'b'], ['c']]
    """
    rest = iter(values)
    while some := list(islice(rest, size)):
        yield some
