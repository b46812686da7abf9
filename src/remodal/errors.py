"""The one family of errors: each says what was found, where, and what is valid.

A user's mistake is always a :class:`RemodalError`; the command line prints its one line and exits with status 2.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager


class RemodalError(Exception):
    """A mistake in what was asked for or given: its text is one line a person can act on."""


class UnknownName(RemodalError):
    """A name that isn't registered, or a setting that doesn't exist.

    >>> raise UnknownName("method", "ridgee", ["ridge", "comm"])
    Traceback (most recent call last):
    ...
    remodal.errors.UnknownName: unknown method 'ridgee'; did you mean 'ridge'? valid: comm, ridge
    """

    def __init__(self, kind: str, found: str, valid: Iterable[str]) -> None:
        names = sorted(valid)
        near = difflib.get_close_matches(found, names, n=1, cutoff=0.4)
        hint = f" did you mean {near[0]!r}?" if near else ""
        super().__init__(f"unknown {kind} {found!r};{hint} valid: {', '.join(names) or 'none'}")


class BadItem(RemodalError):
    """One item that can't be used: ``where`` names it, ``reason`` says what was found and what is valid.

    In a stream such an item is set aside (quarantined) and the run goes on, unless it is strict.
    """

    def __init__(self, where: str, reason: str) -> None:
        super().__init__(f"{where}: {reason}")
        self.where = where
        self.reason = reason


class Stopped(Exception):
    """Work was broken off because that was asked for, and nothing is wrong: asked for again, it goes on."""


class PartlyDecoded(UserWarning):
    """A good part of a file is damaged; the rest of it was decoded, and is used."""


class TrackerFailed(UserWarning):
    """A tracker isn't told of a run any more; the run itself goes on."""


LONGEST = 400
"""Letters of what a library says that are passed on."""


def shortened(text: str) -> str:
    """Words of a library as they are passed on: in one line, and not too many."""
    return " ".join(text.split())[:LONGEST]


@contextmanager
def in_one_line(what: str) -> Iterator[None]:
    """Whatever a library raises becomes a :class:`RemodalError`: ``what``, and the library's words, shortened.

    For libraries that raise whatever their parts raise, such as clients of remote stores.

    >>> with in_one_line("shelf: can't be read"):
    ...     raise ValueError("no such\\n  shelf")
    Traceback (most recent call last):
    ...
    remodal.errors.RemodalError: shelf: can't be read (no such shelf)
    """
    try:
        yield
    except RemodalError:
        raise
    except Exception as error:
        raise RemodalError(f"{what} ({shortened(str(error))})") from error


@contextmanager
def installed_with(extra: str) -> Iterator[None]:
    """A block that imports what only ``remodal[extra]`` installs.

    >>> with installed_with("serve"):
    ...     import a_module_that_is_not_there
    Traceback (most recent call last):
    ...
    remodal.errors.RemodalError: found no module 'a_module_that_is_not_there'; install it: pip install 'remodal[serve]'
    """
    try:
        yield
    except ModuleNotFoundError as missing:
        if (missing.name or "").startswith("remodal"):
            raise
        raise RemodalError(f"found no module {missing.name!r}; install it: pip install 'remodal[{extra}]'") from None
