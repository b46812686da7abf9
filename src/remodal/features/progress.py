"""How long work tells that it goes on: a small hook that the command line draws and a library call leaves silent."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Protocol


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
