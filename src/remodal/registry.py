"""Named things that can be looked up, each kind in its own registry."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from remodal.errors import UnknownName

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

    def add(self, name: str) -> Callable[[T], T]:
        """A decorator that registers what it decorates under ``name``."""

        def register(entry: T) -> T:
            if name in self._entries:
                raise ValueError(f"{self.kind} {name!r} is registered twice")
            self._entries[name] = entry
            return entry

        return register

    def get(self, name: str) -> T:
        """What ``name`` stands for; UnknownName, with the nearest valid name, where nothing does."""
        if name not in self._entries:
            raise UnknownName(self.kind, name, self._entries)
        return self._entries[name]

    def names(self) -> list[str]:
        """All names, sorted."""
        return sorted(self._entries)
