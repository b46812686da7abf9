"""Live progress: bars for a person who watches, sparse lines for a file.

Work inside other work (the stages of a task) is short and comes again and again, so it shares one line that is written
over; only the outer work has a bar of its own.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol, Self

from rich import progress as rich_progress
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn

from remodal.characters import printable
from remodal.features.progress import Counter

QUIET_SECONDS = 10.0
"""Between two lines about the same work."""
RECENT_SECONDS = 120.0
"""What the time left is estimated from."""
NAME_WIDTH = 16


class Shown(Protocol):
    """Progress that is shown within a ``with`` block."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...

    def work(self, name: str, total: int) -> AbstractContextManager[Counter]:
        """See :class:`~remodal.features.progress.Progress`."""

    def note(self, line: str) -> None:
        """See :class:`~remodal.features.progress.Progress`."""


def shown_on(console: Console) -> Shown:
    """Bars where ``console`` is a terminal that can draw them, lines elsewhere."""
    return Bars(console) if console.is_interactive else Lines(console)


class Bars:
    """Bars that are redrawn in place."""

    def __init__(self, console: Console) -> None:
        self._bars = rich_progress.Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(elapsed_when_finished=True),
            console=console,
            speed_estimate_period=RECENT_SECONDS,
        )
        self._outer: rich_progress.TaskID | None = None
        self._stage: rich_progress.TaskID | None = None

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def work(self, name: str, total: int) -> AbstractContextManager[Counter]:
        """A bar for outer work, the shared line for work inside it."""
        return self._show_outer(name, total) if self._outer is None else self._show_stage(name, total)

    def note(self, line: str) -> None:
        """One line above the bars, cut at the terminal's width."""
        self._bars.console.print(
            line, markup=False, highlight=False, overflow="ellipsis", no_wrap=True, soft_wrap=False
        )

    @contextmanager
    def _show_outer(self, name: str, total: int) -> Iterator[Counter]:
        self._outer = self._bars.add_task(printable(name).ljust(NAME_WIDTH), total=total)
        try:
            yield self._counter(self._outer)
        finally:
            self._outer = None
            if self._stage is not None:
                self._bars.remove_task(self._stage)
                self._stage = None

    @contextmanager
    def _show_stage(self, name: str, total: int) -> Iterator[Counter]:
        text = f"  {printable(name)}".ljust(NAME_WIDTH)
        if self._stage is None:
            self._stage = self._bars.add_task(text, total=total)
        else:
            self._bars.reset(self._stage, total=total, description=text)
        yield self._counter(self._stage)  # its line stays until other work takes it: nothing jumps

    def _counter(self, bar: rich_progress.TaskID) -> Counter:
        def count(steps: int = 1) -> None:
            self._bars.advance(bar, steps)

        return count


class Lines:
    """A line when work ends, and now and then while it goes on."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._inside = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    @contextmanager
    def work(self, name: str, total: int) -> Iterator[Counter]:
        """Says how long it took; says nothing about work inside other work."""
        if self._inside:
            yield lambda steps=1: None
            return
        self._inside = True
        done, started = 0, time.monotonic()
        spoken = started
        first: tuple[int, float] | None = None  # what a resumed run had done before tells nothing of its speed

        def count(steps: int = 1) -> None:
            nonlocal done, spoken, first
            done += steps
            now = time.monotonic()
            if first is None:
                first = done, now
            elif now - spoken >= QUIET_SECONDS and done < total:
                spoken = now
                left = (now - first[1]) / (done - first[0]) * (total - done)
                self.note(f"{name}: {done:,} of {total:,}, {left:.0f} s left")

        try:
            yield count
        finally:
            self._inside = False
        self.note(f"{name}: {done:,} in {time.monotonic() - started:.1f} s")

    def note(self, line: str) -> None:
        """One line."""
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)
