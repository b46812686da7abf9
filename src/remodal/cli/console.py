"""How the commands write: results to stdout, all else to stderr; plain wherever nobody watches."""

from __future__ import annotations

from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

PLAIN_WIDTH = 200
"""Columns of a table that goes to a file or a pipe."""


def results_console() -> Console:
    """For what was asked for."""
    return _console(stderr=False)


def progress_console() -> Console:
    """For how it comes about."""
    return _console(stderr=True)


def _console(stderr: bool) -> Console:
    console = Console(stderr=stderr, highlight=False, markup=False, emoji=False, soft_wrap=True)
    if not console.is_terminal:
        console.width = PLAIN_WIDTH
    return console


def table(columns: Sequence[str], rows: Sequence[Sequence[object]], *, words: int = 1) -> Table:
    """A table whose first ``words`` columns hold words and the others figures; None is a dash."""
    drawn = Table(box=SIMPLE_HEAD, pad_edge=False)
    for index, column in enumerate(columns):
        drawn.add_column(column, justify="left" if index < words else "right", overflow="fold")
    for row in rows:
        drawn.add_row(*(_cell(value) for value in row))
    return drawn


def _cell(value: object) -> str:
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:.3f}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def megabytes(count: float) -> str:
    """``count`` bytes for a person.

    >>> megabytes(22_331_000), megabytes(2_100_000_000)
    ('22.3 MB', '2,100.0 MB')
    """
    return f"{count / 1e6:,.1f} MB"
