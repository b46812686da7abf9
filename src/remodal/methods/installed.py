"""Methods of other packages, which an entry point of the group ``remodal.methods`` makes known.

Such an entry point names a module, and importing it registers the method. Whatever goes wrong there, that package alone
is left out, with one line that names it.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint, entry_points
from inspect import isabstract
from multiprocessing import parent_process
from typing import NamedTuple

from remodal.characters import STEERING
from remodal.errors import shortened
from remodal.methods.base import Method
from remodal.registry import Registry
from remodal.settings import Settings

GROUP = "remodal.methods"
logger = logging.getLogger(__name__)


class LeftOut(NamedTuple):
    """A package whose method can't be used. method: as the entry point calls it."""

    package: str
    method: str
    problem: str

    @property
    def mend(self) -> str:
        """What puts it right."""
        return f"correct it, or pip install --upgrade {self.package}, or pip uninstall {self.package}"

    def __str__(self) -> str:
        what = f"the installed package {self.package} can't be used, so its method {self.method!r} is missing"
        return f"{what} ({self.problem}); mend it: {self.mend}"


def load_installed(methods: Registry[type[Method]]) -> tuple[LeftOut, ...]:
    """Import what installed packages name, so that it registers its methods; what was left out.

    Each is also logged as a warning, and told to whoever asks for the method.
    """
    left_out = tuple(_failures(methods))
    for one in left_out:
        methods.leave_out(one.method, str(one))
        if parent_process() is None:  # the first of several processes speaks for all
            logger.warning("remodal: %s", one)
    return left_out


def _failures(methods: Registry[type[Method]]) -> Iterator[LeftOut]:
    importing = set(sys.modules)
    for entry in entry_points(group=GROUP):
        if entry.value.partition(":")[0].strip() in importing:
            continue  # its import came first, and has asked for remodal
        try:
            with methods.all_or_none():
                _load(entry, methods)
        except (Exception, SystemExit) as error:
            yield LeftOut(entry.dist.name if entry.dist else entry.name, entry.name, _said(error))


def _load(entry: EntryPoint, methods: Registry[type[Method]]) -> None:
    before = set(methods.names())
    entry.load()
    added = [name for name in methods.names() if name not in before]
    if not added and entry.name not in before:  # another entry's import may have brought it
        raise TypeError(
            f"importing {entry.value} registers no method; valid: a class under @methods.add({entry.name!r})"
        )
    for name in added:
        added_class: object = methods.get(name)
        if not (isinstance(added_class, type) and issubclass(added_class, Method)):
            raise TypeError(f"{name!r} stands for {added_class!r}; valid: a subclass of remodal.methods.Method")
        if isabstract(added_class):
            missing = ", ".join(sorted(added_class.__abstractmethods__))
            raise TypeError(f"{added_class.__name__} lacks {missing}")
        options: object = added_class.options
        if not (isinstance(options, type) and issubclass(options, Settings)):
            raise TypeError(
                f"{added_class.__name__}.options is {options!r}; valid: a subclass of remodal.settings.Settings"
            )


def _said(error: BaseException) -> str:
    """The kind of error and its words, in one line that a terminal can show."""
    return shortened(STEERING.sub(" ", f"{type(error).__name__}: {error}"))
