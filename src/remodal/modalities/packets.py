"""Sound and moving pictures through libav: opened as what the bytes are, decoded packet by packet."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from io import BytesIO
from typing import overload

import av
from av import AudioFrame, AudioStream, VideoFrame, VideoStream
from av.container import InputContainer
from av.stream import Disposition

from remodal.errors import PartlyDecoded
from remodal.modalities.base import MAX_VIDEO_PIXELS, Refused
from remodal.modalities.formats import format_of

GOOD_PART = 0.1
"""Share of a sound's or a clip's bytes whose loss is told."""


def opened(data: bytes, pixels: int = MAX_VIDEO_PIXELS) -> InputContainer:
    """The container, to be closed. libav isn't left to guess its format: some of what it knows refers to other files.

    pixels: That a frame may have, at most; libav decodes some, and a cover, to find what isn't in the header.
    """
    return av.open(BytesIO(data), "r", format=format_of(data).container, options={"max_pixels": str(pixels)})


def clips(container: InputContainer) -> list[VideoStream]:
    """The streams of moving pictures: the cover of a song or a clip isn't one."""
    return [stream for stream in container.streams.video if not stream.disposition & Disposition.attached_pic]


def has_clip(data: bytes) -> bool:
    """Whether there are moving pictures in a file, not sound alone."""
    with opened(data) as container:
        return bool(clips(container))


@overload
def frames(container: InputContainer, stream: AudioStream, where: str) -> Iterator[AudioFrame]: ...
@overload
def frames(container: InputContainer, stream: VideoStream, where: str) -> Iterator[VideoFrame]: ...
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
