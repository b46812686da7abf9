"""Memory that was freed goes back to the system."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cache


def give_back() -> None:
    """Give the system what the C library's allocator holds and nobody uses; nothing where that isn't glibc's.

    Each task allocates arrays that are a little larger than those of the task before. So they don't fit into the holes
    that these left, and the process would hold ever more: 16 GB after a thousand tasks of a thousand items
    (``benchmarks/scale.py``). It takes some 20 ms a task.
    """
    if (trim := _trim()) is not None:
        trim(0)


@cache
def _trim() -> Callable[[int], int] | None:
    """glibc's ``malloc_trim``."""
    try:
        found: Callable[[int], int] = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):  # musl, macOS; Windows
        return None
    return found
