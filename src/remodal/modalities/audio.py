"""Sound, as a waveform and as log-mel pictures."""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from functools import cache, partial
from io import BytesIO
from typing import Any, BinaryIO

import av
import numpy as np
import soundfile
import torch
from av import AudioFrame, AudioStream
from av.container import InputContainer
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from remodal.modalities.base import (
    AUDIO_RATES,
    MAX_AUDIO_SAMPLES,
    MAX_AUDIO_SECONDS,
    MAX_LONG_SECONDS,
    Refused,
    squeezed,
)
from remodal.modalities.formats import AIFF, FLAC, OGG, WAV, Format, format_of, tag_bytes
from remodal.modalities.packets import frames, opened, seconds_of, timed
from remodal.modalities.windows import IN_WINDOWS, Span, Timed

RATE = 16_000  # Hz
UNKNOWN_LENGTH = 2**62  # samples, and more: what libsndfile says where a header tells none
FILTER = 64  # samples, at the lower of two rates: what resampling looks at
FRAME = 400  # samples: 25 ms, Hann window
HOP = 160  # samples: 10 ms
FFT = 1024  # samples, zero-padded, so that the lowest bands hold a bin each
BANDS = 128  # HTK mel
LOWEST, HIGHEST = 20.0, 8000.0  # Hz
SPAN = 20_000  # samples of one picture: 1.25 s
MAX_PICTURES = 4
RANGE = 80.0  # dB from black to white; white is the loudest point of the clip
LOUDEST = 2.0**31  # as far as integers of 32 bits go, where somebody wrote them as floats without scaling them
STEP = 2.0**-15  # of 16 bits: what varies by less holds no sound
QUIETEST = -80.0  # dB of a full-scale sine; a clip quieter than this is not raised to white


class Audio(Timed):
    """A mono waveform: ``float32 [n]`` at 16 kHz, its mean subtracted.

    The pictures of five seconds show all of it, those of a longer sound leave most of it out: so long is a window.
    """

    name = "audio"
    suffixes = frozenset(
        {".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff", ".aac", ".m4a"}
        | {".mp4", ".mov", ".3gp", ".mkv", ".webm"}  # the sound of a clip, or one without
    )
    valid = "WAV, FLAC, AIFF, Ogg (Vorbis or Opus), MP3, AAC, or the sound of an MP4, M4A, MOV, Matroska or WebM file"
    contrast = 2.0
    whole, window, hop = 60.0, MAX_PICTURES * SPAN / RATE, MAX_PICTURES * SPAN / RATE / 2

    def decode(self, data: bytes, *, where: str, unit: str | None = None) -> NDArray[np.float32]:
        """Read a sound at any rate, with any number of channels; damaged packets are left out (see
        :class:`~remodal.errors.PartlyDecoded`).

        Channels are mixed to their mean. Where they cancel each other in it, the loudest one is taken.
        """
        return self.checked(partial(_read, where=where), data, where)

    def pictures(self, medium: NDArray[Any], size: int) -> NDArray[np.uint8]:
        """Log-mel pictures ``[T, size, size, 3]``, grey: time to the right, pitch upwards, loud is white.

        A sound of up to 1.25 s is one picture, the rest of it silence; a longer one is up to four pictures of
        1.25 s each, evenly spread from its start to its end.

        >>> second = np.zeros(16_000, np.float32)
        >>> Audio().pictures(second, 128).shape, Audio().pictures(np.tile(second, 5), 128).shape
        ((1, 128, 128, 3), (4, 128, 128, 3))
        """
        wave = np.pad(medium, (0, max(0, SPAN - len(medium))))
        count = min(MAX_PICTURES, -(-len(wave) // SPAN))
        starts = np.linspace(0, len(wave) - SPAN, count).round().astype(int)
        decibel = np.stack([_log_mel(wave[start : start + SPAN]) for start in starts])
        white = max(decibel.max(), QUIETEST)
        grey = (np.clip((decibel - white) / RANGE + 1, 0, 1) * 255).round().astype(np.uint8)
        return np.repeat(squeezed(grey[..., None], size), 3, axis=-1)

    def seconds(self, file: BinaryIO) -> float:
        """By its packets."""
        with opened(file) as container:
            return seconds_of(container, _stream(container), MAX_LONG_SECONDS)

    def windows(self, file: BinaryIO, spans: Sequence[Span], where: str) -> Iterator[NDArray[np.float32] | Refused]:
        """Each is mixed as a sound of its own is."""
        waiting = deque(spans)
        parts: deque[tuple[float, AudioFrame]] = deque()  # of the window that is waited for, with when they begin
        with opened(file) as container:
            for at, frame in timed(container, _stream(container), where, spans[0].start):
                while waiting and at >= waiting[0].end:
                    yield _window(parts, waiting.popleft())
                if not waiting:
                    return
                _check_header(round(self.window * frame.sample_rate), frame.layout.nb_channels, frame.sample_rate)
                parts.append((at, frame))
                while parts and _end(*parts[0]) <= waiting[0].start:
                    parts.popleft()
        for span in waiting:
            yield _window(parts, span)


def _window(parts: Sequence[tuple[float, AudioFrame]], span: Span) -> NDArray[np.float32] | Refused:
    """What there is of a window, as a sound of its own. parts: frames that may lie in it, with when they begin."""
    inside = [(at, frame) for at, frame in parts if at < span.end and _end(at, frame) > span.start]
    try:
        channels, rate = _joined([frame for _, frame in inside])
        begin = round((span.start - inside[0][0]) * rate) if inside else 0
        channels = channels[:, max(begin, 0) :][:, : round((span.end - span.start) * rate)]
        found, wanted = channels.shape[1] / rate, span.end - span.start
        if found < wanted / 2:
            raise Refused(f"found {found:.1f} s that can be decoded of {wanted:.1f}; valid: at least half")
        return _waveform(channels, rate)
    except Refused as refused:
        return refused


def _end(at: float, frame: AudioFrame) -> float:
    return at + frame.samples / frame.sample_rate


def _stream(container: InputContainer, found: str = "a file") -> AudioStream:
    """The sound of a file. Raises Refused where there is none, or none that can be decoded."""
    if not container.streams.audio:
        raise Refused(f"found {found} without sound where audio is expected; valid: {Audio.valid}")
    stream = container.streams.audio[0]
    if stream.codec_context is None:
        raise Refused(f"found a sound of a codec that isn't known; valid: {Audio.valid}")
    return stream


def _read(data: bytes, where: str) -> NDArray[np.float32]:
    return _waveform(*_read_sound(data, format_of(data), where))


def _waveform(channels: NDArray[np.float32], rate: int) -> NDArray[np.float32]:
    """The medium, of samples ``[channels, n]``. Raises Refused where they hold no sound."""
    if not channels.size:
        raise Refused("found a sound of length zero; valid: at least one sample")
    if not np.isfinite(channels).all():
        raise Refused("found NaN or infinite samples; valid: finite ones")
    if (loudest := float(max(channels.max(), -channels.min()))) > LOUDEST:
        raise Refused(f"found samples up to {loudest:.1e}; valid: from -1 to 1, at most {LOUDEST:.0e}")
    wave = _mixed(channels)
    if np.ptp(wave) < STEP:
        raise Refused("found silence, or one value all along; valid: a sound")
    if rate != RATE:
        wave = resampled(wave, rate)
    centred: NDArray[np.float32] = wave - wave.mean()
    return centred


def _mixed(channels: NDArray[np.float32]) -> NDArray[np.float32]:
    """One channel ``[n]`` of ``[channels, n]``: their mean, or the loudest one where they cancel each other in it."""
    if len(channels) == 1:
        return np.ascontiguousarray(channels[0], np.float32)
    mean: NDArray[np.float32] = channels.mean(axis=0)
    power = np.array([channel.var() for channel in channels])
    # Channels that have nothing in common leave the mean 1 / len(channels) of their power.
    if mean.var() >= power.mean() / (2 * len(channels)):
        return mean
    return np.ascontiguousarray(channels[power.argmax()], np.float32)


def _read_sound(data: bytes, found: Format, where: str) -> tuple[NDArray[np.float32], int]:
    """Samples ``[channels, n]`` and their rate: by libsndfile, and by libav what it can't read whole.

    libsndfile isn't asked for MP3: it would hand it to a library that prints warnings even about files it reads well.
    """
    if found not in (WAV, FLAC, OGG, AIFF):
        return _decoded(data, found, where)
    data = _with_length(data) if found is WAV else data[tag_bytes(data) :]
    try:
        with soundfile.SoundFile(BytesIO(data)) as sound:
            if sound.frames < UNKNOWN_LENGTH:
                _check_header(sound.frames, sound.channels, sound.samplerate)
                return sound.read(sound.frames, dtype="float32", always_2d=True).T, sound.samplerate
    except soundfile.LibsndfileError:
        pass
    return _decoded(data, found, where)


def _with_length(wav: bytes) -> bytes:
    """A WAV that says how long it is, also where its recorder died before it wrote that."""
    if int.from_bytes(wav[4:8], "little") + 8 >= len(wav):
        return wav
    at = 12
    while at + 8 < len(wav):
        size = int.from_bytes(wav[at + 4 : at + 8], "little")
        if wav[at : at + 4] == b"data":
            return wav if size else wav[: at + 4] + (len(wav) - at - 8).to_bytes(4, "little") + wav[at + 8 :]
        at += 8 + size + size % 2
    return wav


def _decoded(data: bytes, found: Format, where: str) -> tuple[NDArray[np.float32], int]:
    parts: list[AudioFrame] = []
    length = 0
    with opened(data) as container:
        for frame in frames(container, _stream(container, found.name), where):
            length += frame.samples
            _check_header(length, frame.layout.nb_channels, frame.sample_rate)
            parts.append(frame)
    return _joined(parts)


def _joined(parts: list[AudioFrame]) -> tuple[NDArray[np.float32], int]:
    """Frames one after the other, without those of another rate than most have, mono among stereo on all channels."""
    if not parts:
        return np.zeros((1, 0), np.float32), RATE
    ((rate, _),) = Counter(part.sample_rate for part in parts).most_common(1)
    samples = [_samples(part) for part in parts if part.sample_rate == rate]
    most = max(len(part) for part in samples)
    mono = (part if len(part) == most else part.mean(axis=0, keepdims=True) for part in samples)
    return np.concatenate([np.broadcast_to(part, (most, part.shape[1])) for part in mono], axis=1), rate


def _samples(frame: AudioFrame) -> NDArray[np.float32]:
    """``[channels, n]``, full scale at 1."""
    values = frame.to_ndarray()
    if frame.format.is_packed:
        values = values.reshape(-1, frame.layout.nb_channels).T
    samples: NDArray[np.float32] = values.astype(np.float32, copy=False)
    if values.dtype == np.uint8:
        return (samples - 128) / np.float32(128)
    return samples / np.float32(2 ** (8 * values.itemsize - 1)) if values.dtype.kind == "i" else samples


def _check_header(length: int, channels: int, rate: int) -> None:
    if not AUDIO_RATES[0] <= rate <= AUDIO_RATES[1]:
        raise Refused(f"found a rate of {rate:,} Hz; valid: {AUDIO_RATES[0]:,} to {AUDIO_RATES[1]:,}")
    if length > MAX_AUDIO_SECONDS * rate or length * channels > MAX_AUDIO_SAMPLES:
        found = f"found {length / rate:,.0f} s, {length * channels:,} samples"
        limits = f"at most {MAX_AUDIO_SECONDS:.0f} s and {MAX_AUDIO_SAMPLES:,} samples"
        raise Refused(f"{found}; valid: {limits}; {IN_WINDOWS}")


def resampled(wave: NDArray[np.float32], rate: int, wanted: int = RATE) -> NDArray[np.float32]:
    """``wave`` ``[n]`` of ``rate`` Hz at the rate ``wanted``."""
    length = max(1, round(len(wave) * wanted / rate))
    short = FILTER * max(1, rate // wanted) - len(wave)
    if short > 0:  # the filter gives nothing where a sound is shorter than itself
        return resampled(np.pad(wave, (0, short), mode="edge"), rate, wanted)[:length]
    resampler = av.AudioResampler(format="fltp", layout="mono", rate=wanted)
    frame = av.AudioFrame.from_ndarray(wave[None], format="fltp", layout="mono")
    frame.sample_rate = rate
    parts = [part.to_ndarray()[0] for part in (*resampler.resample(frame), *resampler.resample(None))]
    return np.concatenate(parts) if parts else wave[:0]


def _log_mel(wave: NDArray[np.float32]) -> NDArray[np.float32]:
    """Decibels ``[BANDS, frames]`` of ``wave`` ``[SPAN]``, highest band first; 0 is a full-scale sine."""
    window, bands = _filters()
    # Half a frame of silence at both ends: as many frames before the middle as after it.
    frames = functional.pad(torch.from_numpy(wave), (FRAME // 2, FRAME // 2)).unfold(0, FRAME, HOP)
    spectrum = torch.fft.rfft(frames * window, FFT)
    power = spectrum.real.square() + spectrum.imag.square()
    decibel: NDArray[np.float32] = (bands @ power.T).clamp_min(1e-20).log10().mul(10).numpy()
    return decibel


@cache
def _filters() -> tuple[Tensor, Tensor]:
    """The Hann window ``[FRAME]`` and the mel bands' triangles ``[BANDS, FFT // 2 + 1]``, highest band first."""
    lowest, highest = (2595 * math.log10(1 + hertz / 700) for hertz in (LOWEST, HIGHEST))
    edges = 700 * (10 ** (np.linspace(highest, lowest, BANDS + 2) / 2595) - 1)
    right, peak, left = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    hertz = np.fft.rfftfreq(FFT, 1 / RATE)
    triangles = np.minimum((hertz - left) / (peak - left), (right - hertz) / (right - peak)).clip(min=0)
    window = np.hanning(FRAME)
    return torch.tensor(window * 2 / window.sum()).float(), torch.tensor(triangles).float()
