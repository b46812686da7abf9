"""When to look at a folder: soon after something changed in it, and now and then anyway."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

from remodal.errors import installed_with

SELDOM = 60.0
"""Seconds after which is looked anyway: of what other machines do in a shared folder, nobody is told."""


def looks(folder: Path, every: float, unsettled: Callable[[], bool]) -> Iterator[None]:
    """Whenever it is time to look at ``folder``; it has no end.

    every: seconds from one look to the next, at least. unsettled: whether to look again although nothing changes.
    """
    with installed_with("watch"):  # better said before the first look
        import watchfiles  # noqa: F401

    looked, changed = time.monotonic(), False
    yield
    for changes in _changes(folder, every):
        changed = changed or changes
        passed = time.monotonic() - looked
        if passed >= SELDOM or (passed >= every and (changed or unsettled())):
            looked, changed = time.monotonic(), False
            yield


def _changes(folder: Path, every: float) -> Iterator[bool]:
    """Whether something changed in the folder, every so many seconds or sooner."""
    import watchfiles

    milliseconds = max(1, round(1000 * every))
    try:
        for changes in watchfiles.watch(
            folder, watch_filter=None, debounce=milliseconds, rust_timeout=milliseconds, yield_on_timeout=True
        ):
            yield bool(changes)
    except OSError:  # no more folders can be watched on this machine, or not this kind of folder
        while True:
            time.sleep(every)
            yield True
