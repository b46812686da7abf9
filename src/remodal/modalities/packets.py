"""Sound and moving pictures through libav: opened as what the bytes are, decoded packet by packet.

What is opened is a file's bytes, or a file that is read as it is decoded, so that no more of it is in memory.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from fractions import Fraction
from io import BytesIO
from typing import BinaryIO, overload

import av
from av import AudioFrame, AudioStream, VideoFrame, VideoStream
from av.container import InputContainer
from av.stream import Disposition

from remodal.errors import PartlyDecoded
from remodal.modalities.base import MAX_VIDEO_PIXELS, Refused
from remodal.modalities.formats import format_of, head_of

GOOD_PART = 0.1
"""Share of a sound's or a clip's bytes whose loss is told."""
LEAD = 0.5
"""Seconds before a moment from which on it is decoded: a codec's first frames may lean on those before them."""
Source = bytes | BinaryIO
"""What a file holds, or the file, opened."""


def opened(source: Source, pixels: int = MAX_VIDEO_PIXELS) -> InputContainer:
    """The container, to be closed. libav isn't left to guess its format: some of what it knows refers to other files.

    pixels: That a frame may have, at most; libav decodes some, and a cover, to find what isn't in the header.
    """
    kind, file = (
        (format_of(source), BytesIO(source)) if isinstance(source, bytes) else (format_of(head_of(source)), source)
    )
    return av.open(file, "r", format=kind.container, options={"max_pixels": str(pixels)})


def clips(container: InputContainer) -> list[VideoStream]:
    """The streams of moving pictures: the cover of a song or a clip isn't one."""
    return [stream for stream in container.streams.video if not stream.disposition & Disposition.attached_pic]


def clip_of(container: InputContainer) -> VideoStream | None:
    """The stream that is the clip, where there is one: a cover may be stored as a stream of one frame."""
    return max(clips(container), key=lambda clip: clip.frames, default=None)


def has_clip(source: Source) -> bool:
    """Whether there are moving pictures in a file, not sound alone."""
    with opened(source) as container:
        return bool(clips(container))


@overload
def frames(container: InputContainer, stream: AudioStream, where: str) -> Iterator[AudioFrame]: ...
@overload
def frames(container: InputContainer, stream: VideoStream, where: str) -> Iterator[VideoFrame]: ...
@overload
def frames(
    container: InputContainer, stream: AudioStream | VideoStream, where: str
) -> Iterator[AudioFrame | VideoFrame]: ...
def frames(
    container: InputContainer, stream: AudioStream | VideoStream, where: str
) -> Iterator[AudioFrame | VideoFrame]:
    """All that can be decoded of a sound or a clip, without damaged packets.

    where: names the file in the warning, a :class:`~remodal.errors.PartlyDecoded`, that a good part of it is damaged.

    Raises:
        Refused: Of what lies between the first and the last good packet, more than half is damaged: bytes before and
            behind belong to something else, such as a page that was saved with a sound.
    """
    whole = lost = broken = 0  # bytes
    for packet in container.demux(stream):
        try:
            decoded = stream.decode(packet)
        except av.InvalidDataError:
            broken += packet.size
            continue
        if packet.size:
            lost += broken if whole else 0
            whole, broken = whole + packet.size, 0
        yield from decoded
    found = f"found {lost:,} of {whole + lost:,} bytes that can't be decoded"
    if lost > whole:
        raise Refused(f"{found}; valid: at most half of them")
    if lost > GOOD_PART * (whole + lost):
        warnings.warn(PartlyDecoded(f"{where}: {found}; the rest is used"), stacklevel=2)


class Clock:
    """When the frames of a stream are, in seconds from its beginning; a time that is missing, or before what came
    already, is that of the end of what came.
    """

    def __init__(self, stream: AudioStream | VideoStream) -> None:
        self._base: Fraction = stream.time_base or Fraction(1)
        self._first = stream.start_time or 0
        self.now = 0.0

    def at(self, time: int | None, duration: float) -> float:
        """When something is of which a stream says its time, in its own units; it lasts ``duration`` seconds."""
        start = self.now if time is None else max(self.now, self.seconds(time - self._first))
        self.now = start + duration
        return start

    def seconds(self, units: int) -> float:
        """How long so many of a stream's own units are."""
        return float(units * self._base)

    def units(self, seconds: float) -> int:
        """A moment as the stream itself counts it."""
        return self._first + int(seconds / self._base)


@overload
def timed(
    container: InputContainer, stream: AudioStream, where: str, begin: float
) -> Iterator[tuple[float, AudioFrame]]: ...
@overload
def timed(
    container: InputContainer, stream: VideoStream, where: str, begin: float
) -> Iterator[tuple[float, VideoFrame]]: ...
def timed(
    container: InputContainer, stream: AudioStream | VideoStream, where: str, begin: float
) -> Iterator[tuple[float, AudioFrame | VideoFrame]]:
    """What can be decoded from the second ``begin`` on, with when it is; and some of what is before.

    Raises:
        Refused: See :func:`frames`.
    """
    clock = Clock(stream)
    if begin > LEAD:
        container.seek(clock.units(begin - LEAD), stream=stream)
    for number, frame in enumerate(frames(container, stream, where)):
        at = clock.at(frame.pts, _lasts(frame))
        if number == 0 and begin > LEAD and (frame.pts is None or at > begin):
            raise Refused(f"found no moment {begin:,.0f} s after its beginning; valid: a file that can be sought in")
        yield at, frame


def _lasts(frame: AudioFrame | VideoFrame) -> float:
    if isinstance(frame, AudioFrame):
        return frame.samples / frame.sample_rate
    return 0.0  # the next one says when this one ends


def seconds_of(container: InputContainer, stream: AudioStream | VideoStream, most: float) -> float:
    """How long a stream is by its packets, none of which is decoded: a header may be wrong. No more than ``most`` is
    looked at.
    """
    clock = Clock(stream)
    for packet in container.demux(stream):
        if packet.size:
            clock.at(packet.dts, clock.seconds(packet.duration or 0))
        if clock.now > most:
            break
    return clock.now
