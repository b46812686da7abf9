"""Addresses of data that aren't a folder of ours: ``hf:beans?image=image&label=labels``."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import TypeVar
from urllib.parse import parse_qsl

from remodal.errors import RemodalError
from remodal.registry import Registry
from remodal.settings import Settings
from remodal.streams.listing import Listing


@dataclass(frozen=True)
class Address:
    """``<kind>:<where>?<option>=<value>&<option>=<value>``.

    kind: a name in :data:`sources`. where: a path, a URL or a name, as that source takes it.

    >>> Address.parsed("parquet:birds/*.parquet?image=picture&label=species")
    Address(kind='parquet', where='birds/*.parquet', options={'image': 'picture', 'label': 'species'})
    >>> Address.parsed("hf:beans?image=image&label")
    Traceback (most recent call last):
    ...
    remodal.errors.RemodalError: hf:beans?image=image&label: found options 'image=image&label'; \
valid: <option>=<value>, with & between them
    """

    kind: str
    where: str
    options: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def parsed(cls, text: str) -> Address:
        """From what a user writes; RemodalError where it can't be read."""
        kind, _, rest = text.partition(":")
        # the last question mark: others are part of a pattern such as part-?.tar
        where, asked, query = rest.rpartition("?") if "=" in rest.rpartition("?")[2] else (rest, "", "")
        if not where:
            raise RemodalError(f"{text}: found no place after {kind}: ; valid: {kind}:<path or name>?<options>")
        try:
            pairs = parse_qsl(query, strict_parsing=bool(asked), keep_blank_values=True)
        except ValueError:
            raise RemodalError(
                f"{text}: found options {query!r}; valid: <option>=<value>, with & between them"
            ) from None
        for at, (name, _) in enumerate(pairs):
            if name in dict(pairs[:at]):
                raise RemodalError(f"{text}: found option {name!r} twice; valid: each once")
        return cls(kind, where, dict(pairs))

    def __str__(self) -> str:
        return f"{self.kind}:{self.where}"

    @property
    def name(self) -> str:
        """Short, for a stream: of the last part of where, without suffix, what may stand in a file's name."""
        return re.sub(r"[^\w.]+", "-", PurePath(self.where).stem).strip("-") or self.kind


Source = Callable[[Address, str | None, int], Listing]
"""Lists an address's items. Takes the address; the unit of depth readings that state none; and how many items a class
needs to be divided, where no split is stated.
"""
sources = Registry[Source]("source of data")
"""By kind."""

Options = TypeVar("Options", bound=Settings)


def checked(address: Address, kind: type[Options]) -> Options:
    """The address's options; RemodalError where one isn't known or isn't stated."""
    try:
        return kind.checked(address.options)
    except RemodalError as error:
        raise RemodalError(f"{address}: {error}") from None


def is_address(text: str) -> bool:
    """Whether ``text`` is the address of a source.

    >>> is_address("hf:beans?image=image&label=labels"), is_address("everyday"), is_address("C:/data")
    (True, False, False)
    """
    kind, colon, _ = text.partition(":")
    return bool(colon) and kind in sources
