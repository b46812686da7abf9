"""Threads that sleep when they wait."""

from __future__ import annotations

import os

SPINS = "100000"
"""Turns that a thread of OpenMP waits for work before it sleeps; unbounded, it keeps a core from other processes."""


def bound_spinning() -> None:
    """Bound the waiting of OpenMP's threads, where the user hasn't; read when this or a later process imports torch."""
    os.environ.setdefault("GOMP_SPINCOUNT", SPINS)
