"""Watches a method while it learns: names it asks for, held-out items it reads, files it opens.

What is found is written down, and not only raised, so that a method can't hide it by catching exceptions.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

from torch import Tensor

from remodal.backbones import Tokens
from remodal.testing.toy import ToyBackbone


@dataclass
class Watch:
    """What was done during :meth:`learning` that must not be done."""

    known: set[str] = field(default_factory=set)
    """Names of the classes seen so far."""
    offences: list[str] = field(default_factory=list)
    _on: bool = False

    @contextmanager
    def learning(self, classes: Sequence[str]) -> Iterator[None]:
        """While a task with these classes is learned."""
        self.known.update(classes)
        opened = io.open

        def watched_open(file: Any, *args: Any, **kwargs: Any) -> Any:
            self.report(f"the file {file}")
            return opened(file, *args, **kwargs)

        self._on = True
        try:
            with mock.patch("io.open", watched_open), mock.patch("builtins.open", watched_open):
                yield
        finally:
            self._on = False

    def report(self, what: str) -> None:
        """Write down ``what`` was looked at, if it was while learning."""
        if self._on and what not in self.offences:
            self.offences.append(what)


class WatchedBackbone(ToyBackbone):
    """Tells its watch when it is asked for the name of a class that no task has shown yet."""

    def __init__(self, watch: Watch) -> None:
        super().__init__()
        self._watch = watch

    def embed_name(self, name: str) -> Tensor:
        """As the toy's."""
        if name not in self._watch.known:
            self._watch.report(f"the name of the future class {name!r}")
        return super().embed_name(name)

    def anchors(self, names: Sequence[str]) -> Tensor:
        """As the toy's, without remembering any, so that every name passes :meth:`embed_name`."""
        self._embedded.clear()
        return super().anchors(names)


@dataclass(frozen=True, eq=False)
class WatchedTokens(Tokens):
    """Held-out tokens, and parts of them, that tell their watch when they are read."""

    watch: Watch = field(kw_only=True)

    @classmethod
    def of(cls, tokens: Tokens, watch: Watch) -> WatchedTokens:
        """``tokens``, watched."""
        return cls(tokens.tower, tokens.frames, tokens.lengths, tokens.features, watch=watch)

    def __getattribute__(self, name: str) -> Any:
        if name == "frames":
            self.watch.report("tokens of held-out items")
        return super().__getattribute__(name)

    def __getitem__(self, index: Tensor | slice) -> Tokens:
        return WatchedTokens.of(super().__getitem__(index), self.watch)
