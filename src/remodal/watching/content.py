"""What an item holds, told by a hash, so that nothing is learned twice under whatever name it comes."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from remodal.errors import BadItem
from remodal.streams.base import Item


def content_of(item: Item) -> str:
    """A hash over an item's bytes and over how they are read. Raises BadItem where it can't be read."""
    return _hashed(item.read_as, item.read())


@dataclass(frozen=True)
class HashedItem(Item):
    """An item that has been looked at: it can only be read as long as it holds what it held then."""

    original: Item
    content: str

    @classmethod
    def of(cls, item: Item) -> HashedItem:
        """``item``, as it is now. Raises BadItem where it can't be read."""
        return cls(item.id, item.modality, item.label, "train", item.group, item.licence, item, content_of(item))

    def read(self) -> bytes:
        """The encoded medium. Raises BadItem where it can't be read, or holds something else by now."""
        data = self.original.read()
        if _hashed(self.read_as, data) != self.content:
            raise BadItem(self.id, "changed while it was being learned; it is looked at again")
        return data

    @property
    def read_as(self) -> str:
        """The original's."""
        return self.original.read_as

    @property
    def file(self) -> Path | None:
        """The original's."""
        return self.original.file

    @property
    def unit(self) -> str | None:
        """The original's."""
        return self.original.unit


def _hashed(read_as: str, data: bytes) -> str:
    return sha256(read_as.encode() + b"\0" + data).hexdigest()
