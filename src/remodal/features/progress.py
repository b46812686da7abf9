"""How long work tells that it goes on: a small hook that the command line draws and a library call leaves silent.

What counts may also break the work off: see :class:`Until`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Protocol

from remodal.errors import Stopped


class Counter(Protocol):
    """Counts the steps of one piece of work."""

    def __call__(self, steps: int = 1) -> None:
        """``steps`` more are done."""


class Progress(Protocol):
    """Shows pieces of work."""

    def work(self, name: str, total: int) -> AbstractContextManager[Counter]:
        """A piece of work of ``total`` steps; shown until the block ends."""

    def note(self, line: str) -> None:
        """One line for the person who watches."""


class Silent:
    """Shows nothing."""

    def work(self, name: str, total: int) -> AbstractContextManager[Counter]:
        """A counter that counts for nobody."""
        return nullcontext(lambda steps=1: None)

    def note(self, line: str) -> None:
        """Says nothing."""


class Until:
    """Shows what ``progress`` shows, and breaks the work off at the first count after ``over`` says so: Stopped.

    >>> with Until(Silent(), lambda: True).work("features", 8) as count:
    ...     count()
    Traceback (most recent call last):
    ...
    remodal.errors.Stopped
    """

    def __init__(self, progress: Progress, over: Callable[[], bool]) -> None:
        self._progress, self._over = progress, over

    @contextmanager
    def work(self, name: str, total: int) -> Iterator[Counter]:
        """A counter that may raise Stopped."""
        with self._progress.work(name, total) as shown:

            def count(steps: int = 1) -> None:
                shown(steps)
                if self._over():
                    raise Stopped

            yield count

    def note(self, line: str) -> None:
        """One line for the person who watches."""
        self._progress.note(line)
