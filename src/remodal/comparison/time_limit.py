"""How long a comparison may take, on the wall clock."""

from __future__ import annotations

import time
from functools import partial

from remodal.learning.checkpoint import Stop, never

MARGIN_SECONDS = 15.0
"""Before the end, for what can't be broken off: a run's last step, its checkpoint, the end of the processes."""


def time_limit(minutes: float | None, begun: float) -> Stop:
    """Says whether the time is over but for the margin, in every process of the machine: it can be pickled.

    minutes: since ``begun``, which is of :func:`time.time`; of None there is no end.

    >>> time_limit(10, time.time())(), time_limit(10, time.time() - 590)(), time_limit(None, 0)()
    (False, True, False)
    """
    return never if minutes is None else partial(_is_over, begun + 60 * minutes - MARGIN_SECONDS)


def _is_over(end: float) -> bool:
    return time.time() >= end
