"""Videos, as eight frames in order."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, BinaryIO

import av
import numpy as np
from av import VideoFrame, VideoStream
from av.container import InputContainer
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

from remodal.modalities.base import (
    FRAMES,
    MAX_LONG_SECONDS,
    MAX_VIDEO_FRAMES,
    MAX_VIDEO_PIXELS,
    MAX_VIDEO_SECONDS,
    Refused,
    centre_squares,
    sample,
)
from remodal.modalities.packets import Source, clip_of, frames, opened, seconds_of, timed
from remodal.modalities.windows import IN_WINDOWS, Span, Timed

SHORT_SIDE = 256  # px; larger frames are scaled down to it while they are decoded


class Video(Timed):
    """Eight frames spread evenly over a clip, first and last included: ``uint8 [8, H, W, 3]``, RGB, upright.

    Evenly in time, also where the frames themselves are not. A clip of fewer frames repeats some, still in order.
    Its sound isn't read, nor is a picture of its cover. A window lasts about as long as the clips that models learn
    from, so that its frames lie as near to each other as theirs.
    """

    name = "video"
    suffixes = frozenset({".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".3gp", ".3g2"})
    valid = "MP4, MOV, Matroska, WebM or AVI with a video stream"
    whole, window, hop = 30.0, 4.0, 2.0

    def decode(self, data: bytes, *, where: str, unit: str | None = None) -> NDArray[np.uint8]:
        """Decode a clip to its end, keeping eight frames at most in memory."""
        return self.checked(partial(_read, where=where), data, where)

    def pixels(self, data: bytes, *, where: str) -> int:
        """Of the eight frames that are kept."""
        return self.checked(_pixels, data, where)

    def pictures(self, medium: NDArray[Any], size: int) -> NDArray[np.uint8]:
        """The centre square of each frame: ``[8, size, size, 3]``."""
        return centre_squares(medium, size)

    def seconds(self, file: BinaryIO) -> float:
        """By its packets."""
        with _opened(file) as (container, stream):
            return seconds_of(container, stream, MAX_LONG_SECONDS)

    def windows(self, file: BinaryIO, spans: Sequence[Span], where: str) -> Iterator[NDArray[np.uint8] | Refused]:
        """Of each, the frames nearest to eight moments spread evenly over it, first and last included."""
        waiting = deque((span, np.linspace(*span, FRAMES).tolist()) for span in spans)
        moments = deque(sorted({moment for _, each in waiting for moment in each}))
        kept: dict[float, NDArray[np.uint8]] = {}  # by the moment that they are nearest to
        last: tuple[float, VideoFrame] | None = None
        with _opened(file) as (container, stream):
            size = _shrunk(stream.codec_context.width, stream.codec_context.height)
            for at, frame in timed(container, stream, where, spans[0].start):
                while moments and moments[0] <= at:
                    moment = moments.popleft()
                    nearest = last[1] if last and moment - last[0] < at - moment else frame
                    kept[moment] = _upright(nearest, size)
                while waiting and waiting[0][1][-1] in kept:
                    yield np.stack([kept[moment] for moment in waiting.popleft()[1]])
                    kept = {moment: one for moment, one in kept.items() if waiting and moment >= waiting[0][0].start}
                if not waiting:
                    return
                last = at, frame
            for span, each in waiting:
                if last is None or last[0] < span.start:
                    yield Refused("found no frame that can be decoded; valid: at least one")
                else:  # the last one is there until the clip ends
                    kept.update((moment, _upright(last[1], size)) for moment in each if moment not in kept)
                    yield np.stack([kept[moment] for moment in each])


def _read(data: bytes, where: str) -> NDArray[np.uint8]:
    # How many frames there are, and when, is certain only after the last one. So the header is believed first,
    # and the clip is decoded once more where it was wrong: never more than eight frames are kept.
    kept, times = _decode(data, None, where)
    indices = _even(times)
    if not kept.keys() >= set(indices):
        kept, _ = _decode(data, indices, where)
    return np.stack([kept[index] for index in indices])


def _even(times: list[int | None]) -> list[int]:
    """The frames ``[FRAMES]`` nearest to moments spread evenly from the first one to the last, given when each is.

    Where each lies within half a frame of its place in an even row, or nothing sound is told, their numbers decide.

    >>> _even([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 20, 30, 40, 50, 60, 70])
    [0, 9, 10, 11, 12, 13, 14, 15]
    """
    numbers: list[int] = sample(len(times)).tolist()
    known = [time for time in times if time is not None]
    if len(known) < len(times) or len(times) < 2:
        return numbers
    at = np.array(known, np.float64)
    even, step = np.linspace(at[0], at[-1], len(at), retstep=True)
    if (np.diff(at) < 0).any() or (np.abs(at - even) <= step / 2).all():
        return numbers
    moments = np.linspace(at[0], at[-1], FRAMES)
    return [int(np.abs(at - moment).argmin()) for moment in moments]


def _decode(
    data: bytes, indices: list[int] | None, where: str
) -> tuple[dict[int, NDArray[np.uint8]], list[int | None]]:
    """The frames with these numbers (``None``: spread evenly over the header's), and the time of each that there is."""
    kept: dict[int, NDArray[np.uint8]] = {}
    times: list[int | None] = []
    with _checked(data) as (container, stream):
        wanted = set(sample(stream.frames).tolist() if indices is None else indices)
        size = _shrunk(stream.codec_context.width, stream.codec_context.height)
        for frame in frames(container, stream, where):
            if len(times) in wanted:
                kept[len(times)] = _upright(frame, size)
            times.append(frame.pts)
            if len(times) > MAX_VIDEO_FRAMES:
                raise _too_long(f"more than {MAX_VIDEO_FRAMES:,} frames")
    if not times:
        raise Refused(f"found no frame that can be decoded; valid: {Video.valid}")
    return kept, times


def _pixels(data: bytes) -> int:
    with _checked(data) as (_, stream):
        return FRAMES * stream.codec_context.width * stream.codec_context.height


@contextmanager
def _checked(data: bytes) -> Iterator[tuple[InputContainer, VideoStream]]:
    """The file and the stream that is the clip, which isn't too long."""
    with _opened(data) as (container, stream):
        seconds = (container.duration or 0) / av.time_base
        if seconds > MAX_VIDEO_SECONDS or stream.frames > MAX_VIDEO_FRAMES:
            raise _too_long(f"{seconds:,.0f} s, {stream.frames:,} frames")
        yield container, stream


@contextmanager
def _opened(source: Source) -> Iterator[tuple[InputContainer, VideoStream]]:
    """The file and the stream that is the clip, of frames that can be decoded and aren't too large."""
    with opened(source, MAX_VIDEO_PIXELS) as container:
        stream = clip_of(container)
        if stream is None:
            raise Refused(f"found no video stream; valid: {Video.valid}")
        if stream.codec_context is None:
            raise Refused(f"found a video of a codec that isn't known; valid: {Video.valid}")
        if not 0 < stream.codec_context.width * stream.codec_context.height <= MAX_VIDEO_PIXELS:
            raise Refused(f"found frames too large or without a size; valid: at most {MAX_VIDEO_PIXELS:,} pixels")
        # libav keeps to the limit too: a frame may turn out larger than the header said.
        stream.codec_context.options = {"max_pixels": str(MAX_VIDEO_PIXELS)}
        stream.codec_context.thread_count = 1  # clips are decoded side by side: threads inside one don't pay
        yield container, stream


def _upright(frame: VideoFrame, size: tuple[int, int]) -> NDArray[np.uint8]:
    """A frame as RGB, scaled to ``size`` (width, height) and turned as it is to be seen."""
    rgb = _scaler().reformat(frame, *size, format="rgb24", interpolation="AREA").to_ndarray()
    return np.rot90(rgb.astype(np.uint8, copy=False), round(frame.rotation / 90))


_of_thread = threading.local()


def _scaler() -> VideoReformatter:
    """One a thread, for all clips: preparing it takes longer than scaling eight frames."""
    if not hasattr(_of_thread, "scaler"):
        _of_thread.scaler = VideoReformatter()
    scaler: VideoReformatter = _of_thread.scaler
    return scaler


def _shrunk(width: int, height: int) -> tuple[int, int]:
    scale = min(1.0, SHORT_SIDE / min(width, height))
    return max(1, round(width * scale)), max(1, round(height * scale))


def _too_long(found: str) -> Refused:
    limits = f"at most {MAX_VIDEO_SECONDS:,.0f} s and {MAX_VIDEO_FRAMES:,} frames"
    return Refused(f"found {found}; valid: {limits}; {IN_WINDOWS}")
