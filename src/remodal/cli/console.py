"""How the commands write: results to stdout, all else to stderr; plain wherever nobody watches.

All that reaches a terminal goes through here, and none of it steers one (see :mod:`remodal.characters`).
"""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from remodal.characters import printable

if TYPE_CHECKING:
    from pathlib import Path

    from remodal.settings import Settings
    from remodal.streams.base import Quarantined

PLAIN_WIDTH = 200
"""Columns of a table that goes to a file or a pipe."""
LISTED = 5
"""Refused files, or endings of others, that are named."""


class Printable(Console):
    """A console whose strings are one line each, of printable characters; cells of a :func:`table` are so already."""

    def print(self, *objects: Any, **options: Any) -> None:
        """See :meth:`rich.console.Console.print`."""
        super().print(*(printable(one) if isinstance(one, str) else one for one in objects), **options)


def write_line(line: str) -> None:
    """One line of what was asked for: text, or JSON, which says the same afterwards."""
    print(printable(line), flush=True)


def say(line: str) -> None:
    """One line of ours on stderr."""
    print(printable(f"remodal: {' '.join(line.split())}"), file=sys.stderr, flush=True)


def results_console() -> Console:
    """For what was asked for."""
    return _console(stderr=False)


def progress_console() -> Console:
    """For how it comes about."""
    return _console(stderr=True)


def _console(stderr: bool) -> Console:
    console = Printable(stderr=stderr, highlight=False, markup=False, emoji=False, soft_wrap=True)
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


def settings_table(settings: type[Settings]) -> Table | str:
    """Name, default as it is written on the command line, and description of each setting; or that there is none."""
    rows = [
        (settings.prefix + name, json.dumps(field.default), field.description or "")
        for name, field in settings.model_fields.items()
    ]
    return table(["setting", "default", ""], rows, words=3) if rows else "  nothing can be set"


def _cell(value: object) -> str:
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:.3f}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else printable(str(value))


def in_counts(right: int, items: int) -> tuple[str, str]:
    """A share of a few items, as the counts and the 95 % interval that they allow (Wilson).

    >>> in_counts(4, 4), in_counts(87, 100)
    (('4 of 4', '0.51 to 1.00'), ('87 of 100', '0.79 to 0.92'))
    """
    from remodal.learning.metrics import interval

    low, high = interval(right, items)
    return f"{right:,} of {items:,}", f"{low:.2f} to {high:.2f}"


def counted(counts: Mapping[str, int]) -> str:
    """Counts of named things in one line.

    >>> counted({"image": 1200, "audio": 3})
    '1,200 image, 3 audio'
    """
    return ", ".join(f"{count:,} {name}" for name, count in counts.items())


def print_refused(console: Console, what: str, refused: Sequence[Quarantined]) -> None:
    """A line for each of the first files that could not be used, and one for all the others. what: became of them."""
    for one in refused[:LISTED]:
        console.print(f"{what}: {one.path}: {one.reason}")
    if len(refused) > LISTED:
        console.print(f"{what}: {len(refused) - LISTED:,} more")


def print_how_to_refresh(console: Console, model: Path) -> None:
    """How an index follows a model that was changed."""
    again = shlex.join(["remodal", "index", str(model), "--into", "INDEX", "--refresh"])
    console.print(f"if you have an index of stored media, bring it up to date: {again}")


def print_others(console: Console, what: str, others: Mapping[str, int]) -> None:
    """A line of files in a folder that aren't named as media are: how many, of which endings. what: became of them."""
    if others:
        first = ", ".join(
            f"{count:,} {ending or 'without an ending'}" for ending, count in list(others.items())[:LISTED]
        )
        more = f", {len(others) - LISTED:,} other endings" if len(others) > LISTED else ""
        console.print(f"{what}: {sum(others.values()):,} not named as media are: {first}{more}")


def megabytes(count: float) -> str:
    """``count`` bytes for a person.

    >>> megabytes(22_331_000), megabytes(2_100_000_000)
    ('22.3 MB', '2,100.0 MB')
    """
    return f"{count / 1e6:,.1f} MB"
