"""Whether another process changed the model's folder: ``remodal update`` or ``rollback`` beside the server."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from remodal.serve.background import Background, log, one_line

LOOK_SECONDS = 1.0
"""Between two looks at the file."""
AGAIN_SECONDS = 10.0
"""Until a folder that couldn't be followed is tried again, if nothing changes in it."""


class Watcher(Background):
    """file: whose replacement counts, ``config.json``. follow: has the change taken on, and says whether that is done
    for now; what it raises is logged once, and it is asked again later.
    """

    def __init__(self, file: Path, follow: Callable[[], Awaitable[bool]]) -> None:
        self._file, self._follow = file, follow

    async def _run(self) -> None:
        followed: tuple[int, ...] | None = ()
        logged, again = "", 0.0
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            state = await asyncio.to_thread(_state, self._file)
            if state == followed and time.monotonic() < again:
                continue
            try:
                if await self._follow():
                    followed, logged, again = state, "", float("inf")
            except Exception as error:
                followed, again = state, time.monotonic() + AGAIN_SECONDS
                if (said := one_line(error)) != logged:
                    logged = said
                    log.error("%s; the version in memory answers on", said)


def _state(file: Path) -> tuple[int, ...] | None:
    """What changes when a file is replaced or written; None where there is none."""
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns
