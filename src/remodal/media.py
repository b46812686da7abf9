"""What a user hands over to be answered: files, bytes, sentences."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from remodal.backbones import Backbone
from remodal.below import Found, real_path
from remodal.errors import BadItem
from remodal.features.source import Window
from remodal.modalities import MODALITIES, get_modality, reader_of
from remodal.modalities.base import read_whole


class Text(str):
    """A sentence, where a plain ``str`` would be the path of a file.

    >>> Text("a domesticated animal that barks")
    Text('a domesticated animal that barks')
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return f"Text({str(self)!r})"


SUFFIXES = frozenset().union(*(one.suffixes for one in MODALITIES.values()))
"""How the names of files end that are taken for media."""


class Below(NamedTuple):
    """What a folder holds. media: files that are named as media are. others: how many there are by their ending."""

    media: list[Found]
    others: dict[str, int]


Whole = str | Path | Found | Text | bytes
"""A path, a file that was found in a folder, encoded bytes, or a sentence."""
Medium = Whole | Window
"""The same, or a window of a long sound or clip."""


@dataclass(frozen=True)
class Given:
    """A medium that was handed over, as the stem pass takes it."""

    id: str
    data: bytes
    read_as: str
    unit: str | None = None

    def read(self) -> bytes:
        """The encoded medium."""
        return self.data


def given(name: str, medium: Whole, modality: str | None, depth_unit: str | None = None) -> Given:
    """The bytes and the decoder that reads them: as stated, or from the content, never from a Python type alone.

    depth_unit: of a depth file.

    Raises:
        BadItem: It can't be read, is too large, or no decoder reads it.
    """
    if isinstance(medium, Text):  # half a surrogate pair is refused where text is decoded
        return Given(name, medium.encode(errors="surrogatepass"), modality or "text")
    data = medium if isinstance(medium, bytes) else read_file(medium)
    reader = get_modality(modality) if modality is not None else reader_of(data, name)
    return Given(name, data, reader.name, depth_unit if reader.name == "depth" else None)


@dataclass(frozen=True)
class Decoded:
    """A medium as ``tower`` has prepared it: ``[frames, ...]``. read_as: the modality whose reader decoded it."""

    name: str
    read_as: str
    tower: str
    prepared: NDArray[np.generic]


def decoded(one: Given, backbone: Backbone) -> Decoded:
    """Decode a medium for the tower that reads it. Raises BadItem where it can't be decoded."""
    tower = backbone.tower(one.read_as)
    medium = get_modality(one.read_as).decode(one.data, where=one.id, unit=one.unit)
    return Decoded(one.id, one.read_as, tower.name, tower.encoder.prepare(one.read_as, medium))


def media_below(folder: Path) -> Below:
    """All files below ``folder`` that are named as media are, sorted, and how many others there are.

    Hidden files and those in hidden folders are neither.
    A link that leaves the folder is among them, also one to a folder: what can't be read is told of when it is read.
    """
    root, found, others = folder.resolve(), [], Counter[str]()
    for name, folders, files in os.walk(folder):
        folders[:] = [inner for inner in folders if not inner.startswith(".")]
        here = Path(name)
        found += [here / inner for inner in folders if (here / inner).is_symlink() and not _stays(root, here / inner)]
        for file in files:
            if not file.startswith("."):
                suffix = Path(file).suffix.lower()
                if suffix in SUFFIXES:
                    found.append(here / file)
                else:
                    others[suffix] += 1
    return Below([Found(root, path) for path in sorted(found)], dict(others.most_common()))


def _stays(root: Path, link: Path) -> bool:
    try:
        real_path(root, link.absolute(), "")
    except BadItem:
        return False
    return True


def named(medium: Medium) -> str:
    """A medium's name, for messages."""
    if isinstance(medium, Text):
        return medium[:40]
    if isinstance(medium, Found):
        return str(medium.path)
    if isinstance(medium, Window):
        return medium.id
    return "bytes" if isinstance(medium, bytes) else str(medium)


def read_file(medium: str | Path | Found) -> bytes:
    """What a file holds. Raises BadItem where it can't be read, or is too large."""
    if isinstance(medium, Found):
        return medium.read()
    path = Path(medium)
    try:
        with path.open("rb") as file:
            return read_whole(file, str(path))
    except OSError as error:
        sentence = "a sentence is given as Text(...) in Python, on standard input (-) to a command"
        raise BadItem(str(path), f"can't be read ({error.strerror}); {sentence}") from None
