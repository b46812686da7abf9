"""Threads that sleep when they wait."""

from __future__ import annotations

import os

SPINS = "3000"
"""Turns that a thread of OpenMP waits for work before it sleeps; unbounded, it keeps a core from other processes.

``make demo`` on two cores that do nothing else, and beside two processes that keep them busy: 9.6 s and 300 s with
100,000 turns, 10.7 to 11.5 s and 73 s with 10,000, 9.9 to 12.8 s and 52 s with 3,000, 9.7 to 11.9 s and 44 s with
1,000.
"""


def bound_spinning() -> None:
    """Bound the waiting of OpenMP's threads, where the user hasn't; read when this or a later process imports torch."""
    os.environ.setdefault("GOMP_SPINCOUNT", SPINS)
