"""The contract of a modality, and the limits that hold before anything is decoded.

A modality turns the bytes of one file into a *medium* (what the file holds: pixels, samples, metres,
characters) and, unless it is text, a medium into *pictures* (what a vision network sees). Decoding is strict:
what can't be used is a :class:`~remodal.errors.BadItem`: in one line what was found and what is valid.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import IO, Any, ClassVar, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from remodal.errors import BadItem
from remodal.modalities.formats import format_of

# A hostile file is refused by its size or its header, so that it can't fill the memory.
MAX_FILE_BYTES = 256 * 2**20
MAX_PIXELS = 64_000_000  # of one image or depth page: the cameras of today's phones have 50 million
MAX_VIDEO_PIXELS = 16_000_000  # of one frame: 4K has 8.3 million
MAX_VIDEO_FRAMES = 36_000
MAX_VIDEO_SECONDS = 1200.0
MAX_AUDIO_SAMPLES = 60_000_000  # all channels together: ten minutes of 48 kHz stereo
MAX_AUDIO_SECONDS = 600.0
AUDIO_RATES = (1_000, 768_000)  # Hz, lowest and highest
MAX_LONG_SECONDS = 86_400.0  # of a sound or a clip that is read in windows, from its file
MAX_LONG_BYTES = 64 * 2**30
MAX_DEPTH_PAGES = 1000
MAX_TEXT_BYTES = 2**20

FRAMES = 8  # that are kept of a video, and at most of a depth sequence

Medium = NDArray[Any] | str
Found = TypeVar("Found")


def check_size(found: int, where: str) -> None:
    """Raises BadItem for a file of more bytes than are decoded. where: names it."""
    if found > MAX_FILE_BYTES:
        raise BadItem(where, f"found {found:,} bytes; valid: at most {MAX_FILE_BYTES:,}")


def read_whole(file: IO[bytes], where: str) -> bytes:
    """What is left of a file, of which no more is read than is decoded. Raises BadItem where there is more, OSError."""
    data = file.read(MAX_FILE_BYTES + 1)
    if len(data) > MAX_FILE_BYTES:
        raise BadItem(where, f"found more than {MAX_FILE_BYTES:,} bytes; valid: at most so many")
    return data


class Refused(Exception):
    """A reason, in one line, why some bytes can't be used; :meth:`Modality.checked` adds where they are."""


class Modality(ABC):
    """One kind of data: how its files are read.

    Attributes:
        name: The modality's name, as folders, manifests and results spell it.
        suffixes: The file name endings under which its files are looked for, lower case.
        valid: What can be read, in words, for messages.
    """

    name: ClassVar[str]
    suffixes: ClassVar[frozenset[str]]
    valid: ClassVar[str]

    @abstractmethod
    def decode(self, data: bytes, *, where: str, unit: str | None = None) -> Medium:
        """Read one file's bytes.

        Args:
            data: The encoded file.
            where: The file's name, for messages.
            unit: What one step of a depth value means; the other modalities have no use for it.

        Raises:
            BadItem: The bytes are empty, too large, of another kind, broken, or hold nothing.
        """

    def pixels(self, data: bytes, *, where: str) -> int:
        """How many pixels decoding makes of a file, as its header says; 0 where it has none. Raises BadItem as it."""
        return 0

    def checked(self, read: Callable[[bytes], Found], data: bytes, where: str) -> Found:
        """``read(data)`` after the checks that every modality shares; any failure becomes a BadItem."""
        if not data:
            raise BadItem(where, f"found an empty file; valid: {self.valid}")
        check_size(len(data), where)
        found = format_of(data)
        if self.name not in found.readers:
            raise BadItem(where, f"found {found.name} where {self.name} is expected; valid: {self.valid}")
        try:
            return read(data)
        except Refused as error:
            raise BadItem(where, str(error)) from None
        except Exception as error:  # a decoder given broken bytes raises whatever its parts raise
            reason = f"found {found.name} that can't be decoded ({_detail(error)}); valid: {self.valid}"
            raise BadItem(where, reason) from error


def _detail(error: Exception) -> str:
    """What a decoder says, in one line; where it can be had without numbers and memory addresses."""
    said = getattr(error, "strerror", None) or getattr(error, "error_string", None) or str(error)
    return " ".join(said.split()).rstrip(".") or type(error).__name__


class Visual(Modality):
    """A modality whose medium can be shown to a vision network.

    Attributes:
        contrast: Factor (no unit) by which a network sees the grey values of its pictures farther from mid-grey than
            a photograph's; chosen on folds of training items (``docs/design.md``), as is brightness.
        brightness: Grey values (of 255) that are added to red, green and blue before that, for the network alone.
    """

    contrast: ClassVar[float] = 1.0
    brightness: ClassVar[tuple[int, int, int]] = (0, 0, 0)

    @abstractmethod
    def decode(self, data: bytes, *, where: str, unit: str | None = None) -> NDArray[Any]: ...

    @abstractmethod
    def pictures(self, medium: NDArray[Any], size: int) -> NDArray[np.uint8]:
        """Draw a decoded medium as RGB pictures ``[T, size, size, 3]``, in the order of time."""


def sample(count: int) -> NDArray[np.int64]:
    """Indices ``[FRAMES]`` spread evenly over ``count`` frames, first and last included.

    >>> sample(15).tolist()
    [0, 2, 4, 6, 8, 10, 12, 14]
    """
    return np.linspace(0, count - 1, FRAMES).round().astype(np.int64)


def squeezed(frames: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Resize ``[T, H, W, channels]`` to ``[T, size, size, channels]``: bicubic, averaging where it shrinks.

    torch's kernel gives the very values of Pillow's, at a fifth of the time.
    """
    if frames.shape[1:3] == (size, size):
        return frames
    planes = torch.from_numpy(np.ascontiguousarray(frames)).permute(0, 3, 1, 2)
    resized = functional.interpolate(planes, (size, size), mode="bicubic", antialias=True)
    return resized.permute(0, 2, 3, 1).contiguous().numpy()


def centre_squares(frames: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """The centre square of each frame ``[T, H, W, channels]``, as CLIP crops, at ``size`` pixels a side."""
    height, width = frames.shape[1:3]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return squeezed(frames[:, top : top + side, left : left + side], size)
