"""Sound, as a waveform and as log-mel pictures."""

from __future__ import annotations

import math
from functools import cache
from io import BytesIO
from typing import Any

import av
import numpy as np
import soundfile
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from remodal.modalities.base import AUDIO_RATES, MAX_AUDIO_SAMPLES, MAX_AUDIO_SECONDS, Refused, Visual, squeezed
from remodal.modalities.formats import MP3, format_of

RATE = 16_000  # Hz
FRAME = 400  # samples: 25 ms, Hann window
HOP = 160  # samples: 10 ms
FFT = 1024  # samples, zero-padded, so that the lowest bands hold a bin each
BANDS = 128  # HTK mel
LOWEST, HIGHEST = 20.0, 8000.0  # Hz
SPAN = 20_000  # samples of one picture: 1.25 s
MAX_PICTURES = 4
RANGE = 80.0  # dB from black to white; white is the loudest point of the clip
QUIETEST = -80.0  # dB of a full-scale sine; a clip quieter than this is not raised to white


class Audio(Visual):
    """A mono waveform: ``float32 [n]`` at 16 kHz, its mean subtracted."""

    name = "audio"
    suffixes = frozenset({".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3"})
    valid = "WAV, FLAC, Ogg (Vorbis or Opus) or MP3"
    contrast = 2.0

    def decode(self, data: bytes, *, where: str, unit: str | None = None) -> NDArray[np.float32]:
        """Read a sound at any rate, with any number of channels."""
        return self.checked(_read, data, where)

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


def _read(data: bytes) -> NDArray[np.float32]:
    # libsndfile would hand MP3 to a library that prints warnings even about files it reads well.
    wave, rate = _read_mp3(data) if format_of(data) is MP3 else _read_sound(data)
    if wave.size and rate != RATE:
        wave = _resample(wave, rate)
    if not wave.size:
        raise Refused("found a sound of length zero; valid: at least one sample")
    if not np.isfinite(wave).all():
        raise Refused("found NaN or infinite samples; valid: finite ones")
    centred: NDArray[np.float32] = wave - wave.mean()
    return centred


def _read_sound(data: bytes) -> tuple[NDArray[np.float32], int]:
    with soundfile.SoundFile(BytesIO(data)) as sound:
        _check_header(sound.frames, sound.channels, sound.samplerate)
        channels = sound.read(sound.frames, dtype="float32", always_2d=True)
        wave: NDArray[np.float32] = channels.mean(axis=1)
        return wave, sound.samplerate


def _read_mp3(data: bytes) -> tuple[NDArray[np.float32], int]:
    parts, length = [np.zeros(0, np.float32)], 0
    with av.open(BytesIO(data), "r", format="mp3") as container:
        stream = container.streams.audio[0]
        for frame in container.decode(stream):
            length += frame.samples
            _check_header(length, stream.channels, stream.rate)
            parts.append(frame.to_ndarray().mean(axis=0, dtype=np.float32))
        return np.concatenate(parts), stream.rate


def _check_header(length: int, channels: int, rate: int) -> None:
    if not AUDIO_RATES[0] <= rate <= AUDIO_RATES[1]:
        raise Refused(f"found a rate of {rate:,} Hz; valid: {AUDIO_RATES[0]:,} to {AUDIO_RATES[1]:,}")
    if length > MAX_AUDIO_SECONDS * rate or length * channels > MAX_AUDIO_SAMPLES:
        found = f"found {length / rate:,.0f} s, {length * channels:,} samples"
        raise Refused(f"{found}; valid: at most {MAX_AUDIO_SECONDS:.0f} s and {MAX_AUDIO_SAMPLES:,} samples")


def _resample(wave: NDArray[np.float32], rate: int) -> NDArray[np.float32]:
    resampler = av.AudioResampler(format="fltp", layout="mono", rate=RATE)
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
