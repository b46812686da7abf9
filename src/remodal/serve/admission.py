"""How much may be asked for at a time: of all clients together, and in one request."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from remodal.errors import RemodalError


class Busy(RemodalError):
    """More waits than may; it can be asked again later."""


class TooMany(RemodalError):
    """More files in one request than may be."""


@dataclass
class Pixels:
    """left: pixels that one request may still have decoded. Files that are decoded side by side all start from it."""

    left: int

    def take(self, count: object) -> None:
        """Take off what was decoded. Raises ValueError where it isn't a number of pixels."""
        if not isinstance(count, int) or count < 0:
            raise ValueError(f"found {count!r}; valid: a number of pixels")
        self.left = max(0, self.left - count)


class Admission:
    """places: media that may be waited for at a time. files: of one request."""

    def __init__(self, places: int, files: int) -> None:
        self._places, self._files, self._taken = places, files, 0

    @contextmanager
    def admitted(self, media: int) -> Iterator[None]:
        """A request of so many media takes its places; they are free again when the block ends.

        No request takes more than half of the places that are free, so that small ones are let in longest.

        Raises:
            TooMany: A request may not have so many.
            Busy: There is no room for it now.
        """
        if media > self._files:
            raise TooMany(f"found {media:,} files and texts; valid: at most {self._files:,} a request")
        if media > (self._places - self._taken + 1) // 2:
            raise Busy(f"{self._taken:,} media wait already; try again soon")
        self._taken += media
        try:
            yield
        finally:
            self._taken -= media
