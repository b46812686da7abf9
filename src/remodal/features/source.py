"""What the stem pass needs of an item; a stream's items are this, and so is a file given to ``predict``."""

from __future__ import annotations

from typing import Protocol


class Encoded(Protocol):
    """One encoded medium."""

    @property
    def id(self) -> str:
        """Its name, for messages and as the key of its tokens in a result."""

    @property
    def read_as(self) -> str:
        """The modality whose reader decodes it."""

    @property
    def unit(self) -> str | None:
        """Stated unit of depth readings, where there is one."""

    def read(self) -> bytes:
        """The encoded medium. Raises BadItem where it can't be read."""
