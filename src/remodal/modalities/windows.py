"""A long sound or clip is cut in windows that overlap, each of which is read as if it were a file of its own.

A network sees a few pictures of a medium, however long that is. So of a long one it would see next to nothing, and
nothing as close as in what a model learns from: a window has the length of such a medium.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from math import ceil
from typing import Any, BinaryIO, ClassVar, NamedTuple

from numpy.typing import NDArray

from remodal.modalities.base import Refused, Visual

IN_WINDOWS = "a longer one is answered in windows (remodal predict --windows)"
"""Said where a medium is too long to be read whole."""


class Span(NamedTuple):
    """From when to when, in seconds from the beginning of a sound or a clip.

    >>> print(Span(197.5, 202.5), Span(3595, 3600))
    3:17.5-3:22.5 59:55-1:00:00
    """

    start: float
    end: float

    def __str__(self) -> str:
        return f"{clock(self.start)}-{clock(self.end)}"


class Timed(Visual):
    """A modality whose medium lasts.

    Attributes:
        whole: Seconds; a medium that isn't longer is read whole.
        window: Seconds of a window of a longer one.
        hop: Seconds from the beginning of a window to that of the next one.
    """

    whole: ClassVar[float]
    window: ClassVar[float]
    hop: ClassVar[float]

    @abstractmethod
    def seconds(self, file: BinaryIO) -> float:
        """How long the medium in an opened file is; a number above ``MAX_LONG_SECONDS`` where it is longer than that.

        Raises whatever a decoder raises of broken bytes.
        """

    @abstractmethod
    def windows(self, file: BinaryIO, spans: Sequence[Span], where: str) -> Iterator[NDArray[Any] | Refused]:
        """Each of the windows ``spans`` as :meth:`decode` gives a file, or why there is none; no more is in memory than
        one window takes.

        spans: in the order of their beginnings, all of one length. where: names the file in warnings.

        Raises whatever a decoder raises of broken bytes, after the windows before these.
        """

    def cut(self, seconds: float) -> list[Span]:
        """The windows of a medium of that length, the last of which ends with it; none where it is read whole."""
        if seconds <= self.whole:
            return []
        last = round(seconds - self.window, 3)
        regular = range(ceil(last / self.hop - 0.5))  # without one that nearly is the last one
        return [Span(start, start + self.window) for start in (*(number * self.hop for number in regular), last)]


def clock(seconds: float) -> str:
    """A moment as players show it, to a tenth of a second where that isn't 0."""
    tenths = round(10 * seconds)
    minutes, rest = divmod(tenths, 600)
    hours, minutes = divmod(minutes, 60)
    whole = f"{hours}:{minutes:02}" if hours else f"{minutes}"
    return f"{whole}:{rest // 10:02}" + (f".{rest % 10}" if rest % 10 else "")
