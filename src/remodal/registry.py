"""Named things that can be looked up, each kind in its own registry."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

from remodal.errors import RemodalError, UnknownName

T = TypeVar("T")


class Registry(Generic[T]):
    """Names of one kind (``"method"``, ``"backbone"``, ...) and what they stand for.

    >>> colours = Registry[str]("colour")
    >>> colours.add("red")("#f00")
    '#f00'
    >>> colours.get("red"), colours.names()
    ('#f00', ['red'])
    >>> colours.get("rde")
    Traceback (most recent call last):
    ...
    remodal.errors.UnknownName: unknown colour 'rde'; did you mean 'red'? valid: red
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._entries: dict[str, T] = {}
        self._left_out: dict[str, str] = {}
        self._derived: dict[str, Callable[[T], T]] = {}

    def add(self, name: str) -> Callable[[T], T]:
        """A decorator that registers what it decorates under ``name``."""

        def register(entry: T) -> T:
            if name in self._entries:
                homes = " and in ".join(getattr(one, "__module__", repr(one)) for one in (self._entries[name], entry))
                raise ValueError(f"{self.kind} {name!r} is registered twice, in {homes}")
            self._entries[name] = entry
            return entry

        return register

    def derive(self, prefix: str, made: Callable[[T], T]) -> None:
        """Let ``prefix`` and a name stand for what ``made`` makes of that one's entry; :meth:`names` doesn't list it.

        >>> colours = Registry[str]("colour")
        >>> _ = colours.add("red")("#f00")
        >>> colours.derive("no-", lambda colour: f"not {colour}")
        >>> colours.get("no-red")
        'not #f00'
        """
        self._derived[prefix] = made

    def __contains__(self, name: str) -> bool:
        """Whether ``name`` stands for anything."""
        return name in self._entries or self._derived_from(name) is not None

    def _derived_from(self, name: str) -> T | None:
        for prefix, made in self._derived.items():
            if name.startswith(prefix) and (of := name.removeprefix(prefix)) in self._entries:
                return made(self._entries[of])
        return None

    def get(self, name: str) -> T:
        """What ``name`` stands for; UnknownName, with the nearest valid name, where nothing does.

        RemodalError, with the reason, where it was left out.
        """
        if name in self._entries:
            return self._entries[name]
        if (derived := self._derived_from(name)) is not None:
            return derived
        if name in self._left_out:
            raise RemodalError(f"found no {self.kind} {name!r}: {self._left_out[name]}")
        prefix = next((one for one in self._derived if name.startswith(one)), "")
        raise UnknownName(self.kind, name, [prefix + one for one in self._entries])

    def names(self) -> list[str]:
        """All names, sorted."""
        return sorted(self._entries)

    def leave_out(self, name: str, why: str) -> None:
        """Tell ``why`` to whoever asks for ``name``, unless something is registered under it."""
        self._left_out[name] = why

    @contextmanager
    def all_or_none(self) -> Iterator[None]:
        """A block whose registrations count when it ends well, and are undone when it doesn't."""
        before = dict(self._entries)
        try:
            yield
        except BaseException:
            self._entries = before
            raise
