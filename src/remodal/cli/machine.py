"""What this machine offers: cores."""

from __future__ import annotations

import os
from pathlib import Path

MOST_THREADS = 8
"""More don't pay for networks of this size."""
TOPOLOGY = Path("/sys/devices/system/cpu")


def physical_cores() -> int:
    """Cores that this process may run on; the two threads of one core count once, where the system tells."""
    if not hasattr(os, "sched_getaffinity"):
        return os.cpu_count() or 1
    return len({_core(cpu) for cpu in os.sched_getaffinity(0)})


def _core(cpu: int) -> str:
    try:
        return (TOPOLOGY / f"cpu{cpu}" / "topology" / "thread_siblings_list").read_text()
    except OSError:
        return str(cpu)


def default_threads() -> int:
    """How many threads a run takes."""
    return min(MOST_THREADS, physical_cores())
