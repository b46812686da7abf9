"""A window of a long sound or clip is what it would be as a file of its own, wherever in the file it lies."""

from __future__ import annotations

from fractions import Fraction
from io import BytesIO
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from remodal.modalities import get_timed
from remodal.modalities.base import Refused
from remodal.modalities.windows import Span

RATE = 48_000
FORMATS = {
    "mp3": "libmp3lame", "ogg": "libopus", "flac": "flac", "wav": "pcm_s16le", "ipod": "aac", "adts": "aac",
    "matroska": "libopus",
}  # fmt: skip


def rising(seconds: int, container: str = "wav", silent: range = range(0)) -> BytesIO:
    """A sound whose second number n is a tone of 200 + 20 n Hz."""
    file = BytesIO()
    at = np.arange(seconds * RATE) / RATE
    wave = 0.5 * np.sin(2 * np.pi * (200 + 20 * np.floor(at)) * at)
    wave[np.isin(np.floor(at), list(silent))] = 0
    with av.open(file, "w", format=container) as output:
        stream = output.add_stream(FORMATS[container], rate=RATE)
        stream.layout = "mono"
        for second in range(seconds):
            samples = wave[None, second * RATE : (second + 1) * RATE].astype(np.float32)
            frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = RATE, second * RATE, Fraction(1, RATE)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return file


def second_of(wave: NDArray[np.float32]) -> int:
    """The second of :func:`rising` that a waveform at 16 kHz begins in."""
    spectrum = np.abs(np.fft.rfft(wave[1_600:14_400] * np.hanning(12_800)))
    return round((float(spectrum.argmax()) * 16_000 / 12_800 - 200) / 20)


@pytest.mark.parametrize("container", FORMATS)
def test_a_window_holds_its_moment_in_every_format(container: str) -> None:
    audio, file = get_timed("audio"), rising(80, container)
    assert audio.seconds(file) == pytest.approx(80, abs=0.15)
    found = list(audio.windows(file, [Span(40, 45), Span(42, 47), Span(75, 80)], "a"))
    waves = [one for one in found if not isinstance(one, Refused)]
    assert [second_of(wave) for wave in waves] == [40, 42, 75]
    assert [len(wave) for wave in waves] == pytest.approx([80_000] * 3, abs=1_600)
    assert all(abs(wave.mean()) < 1e-6 for wave in waves)


def test_a_sound_of_a_minute_is_whole_and_a_longer_one_cut_to_its_end() -> None:
    audio = get_timed("audio")
    assert audio.cut(60.0) == []
    spans = audio.cut(61.0)
    assert (spans[0], spans[1], spans[-1]) == (Span(0, 5), Span(2.5, 7.5), Span(56, 61))
    assert all(later.start < one.end for one, later in pairwise(spans))
    assert audio.cut(62.5)[-2:] == [Span(55, 60), Span(57.5, 62.5)]


def test_a_window_that_holds_nothing_says_so_and_the_others_are_there() -> None:
    file = rising(80, silent=range(10, 20))
    before, silence, after = get_timed("audio").windows(file, [Span(0, 5), Span(12.5, 17.5), Span(30, 35)], "a")
    assert isinstance(silence, Refused)
    assert str(silence).startswith("found silence")
    assert not isinstance(before, Refused)
    assert not isinstance(after, Refused)
    assert second_of(after) == 30


def test_a_sound_that_is_cut_off_has_the_windows_before() -> None:
    whole = rising(80, "mp3").getvalue()
    cut = BytesIO(whole[: len(whole) // 2])
    audio = get_timed("audio")
    assert audio.seconds(cut) == pytest.approx(40, abs=0.5)
    there, gone = audio.windows(cut, [Span(30, 35), Span(70, 75)], "a")
    assert not isinstance(there, Refused)
    assert isinstance(gone, Refused)


def test_what_is_damaged_in_the_middle_has_the_windows_around_it() -> None:
    data = bytearray(rising(80, "mp3").getvalue())
    data[len(data) * 3 // 8 : len(data) // 2] = bytes(len(data) // 2 - len(data) * 3 // 8)  # second 30 to 40
    found = list(get_timed("audio").windows(BytesIO(bytes(data)), [Span(5, 10), Span(60, 65)], "a"))
    assert not any(isinstance(one, Refused) for one in found)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """40 s of ten frames a second, grey of 3 n in frame 5 n and the four after it."""
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    with av.open(path, "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number in range(400):
            grey = np.full((48, 64, 3), 3 * (number // 5), np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(grey, format="rgb24")))
        container.mux(stream.encode())
    return path


def test_a_window_of_a_clip_has_eight_frames_from_its_beginning_to_its_end(clip: Path) -> None:
    video = get_timed("video")
    with clip.open("rb") as file:
        assert video.seconds(file) == pytest.approx(40, abs=0.3)
        spans = [Span(20, 24), Span(22, 26), Span(36, 40)]
        windows = list(video.windows(file, spans, "clip.mp4"))
    for span, frames in zip(spans, windows, strict=True):
        assert not isinstance(frames, Refused)
        assert frames.shape == (8, 48, 64, 3)
        shown = np.linspace(span.start, span.end, 8)
        assert frames.mean(axis=(1, 2, 3)) == pytest.approx(np.minimum(6 * shown, 237), abs=5)
