"""What a sound becomes, what its pictures show, and which sounds are refused."""

from io import BytesIO
from typing import Any

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from remodal.errors import BadItem
from remodal.modalities.audio import RATE, SPAN, Audio

audio = Audio()


def encode(wave: NDArray[Any], rate: int = RATE, file_format: str = "WAV", subtype: str | None = None) -> bytes:
    file = BytesIO()
    soundfile.write(file, wave, rate, format=file_format, subtype=subtype)
    return file.getvalue()


def tone(hertz: float, seconds: float = 1.25, rate: int = RATE) -> NDArray[np.float32]:
    return (0.5 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


def noise(samples: int) -> NDArray[np.float32]:
    return np.random.default_rng(0).normal(0, 0.1, samples).astype(np.float32)


@pytest.mark.parametrize(
    ("file_format", "subtype", "rate"),
    [
        ("WAV", "PCM_24", 44_100),
        ("FLAC", None, 22_050),
        ("OGG", "VORBIS", 44_100),
        ("OGG", "OPUS", 48_000),
        ("MP3", None, 44_100),
    ],
)
def test_every_format_becomes_16_khz_mono(file_format: str, subtype: str | None, rate: int) -> None:
    left, right = tone(440, 2, rate), np.zeros(2 * rate, np.float32)
    decoded = audio.decode(encode(np.stack([left, right], 1), rate, file_format, subtype), where="a")
    assert decoded.dtype == np.float32
    assert decoded.shape == pytest.approx((2 * RATE,), abs=20)
    middle = slice(RATE // 2, 3 * RATE // 2)
    assert decoded[middle] == pytest.approx(tone(440, 2)[middle] / 2, abs=0.03)


def test_the_mean_is_taken_off() -> None:
    decoded = audio.decode(encode(tone(440, 1) + 0.25), where="a.wav")
    assert decoded == pytest.approx(tone(440, 1), abs=1e-3)


@given(st.integers(1, 7 * SPAN))
def test_a_longer_sound_has_more_pictures_up_to_four(samples: int) -> None:
    assert audio.pictures(noise(samples), 16).shape == (min(4, -(-samples // SPAN)), 16, 16, 3)


def test_a_higher_tone_lies_higher() -> None:
    rows = [audio.pictures(tone(hertz), 128)[0, :, :, 0].mean(axis=1).argmax() for hertz in (60, 250, 1000, 4000)]
    assert rows == sorted(rows, reverse=True)
    mel = 2595 * np.log10(1 + np.array([20, 1000, 8000]) / 700)
    assert rows[2] == pytest.approx(127 * (mel[2] - mel[1]) / (mel[2] - mel[0]), abs=1.5)


def test_time_runs_to_the_right_and_a_short_sound_ends_in_silence() -> None:
    drawn = audio.pictures(noise(SPAN // 2), 128)[0]
    assert drawn[:, :60].mean() > 150
    assert (drawn[:, 70:] == 0).all()


def test_silence_is_black() -> None:
    assert (audio.pictures(np.zeros(RATE, np.float32), 32) == 0).all()


def test_a_quieter_recording_looks_the_same() -> None:
    drawn, quieter = (audio.pictures(scale * noise(SPAN), 64).astype(int) for scale in (1.0, 0.05))
    assert np.abs(drawn - quieter).max() <= 1


@pytest.mark.parametrize("seconds", [1.25, 3.0, 5.0])
def test_reversing_a_sound_reverses_its_pictures(seconds: float) -> None:
    wave = np.concatenate([tone(hertz, seconds / 5) for hertz in (200, 500, 3000, 1000, 5000)])
    forwards, backwards = audio.pictures(wave, 64).astype(int), audio.pictures(wave[::-1], 64).astype(int)
    assert np.abs(forwards[::-1, :, ::-1] - backwards).max() <= 2
    assert np.abs(forwards - backwards).mean() > 10


def test_a_sound_of_length_zero_is_refused() -> None:
    with pytest.raises(BadItem, match=r"^a\.wav: found a sound of length zero; valid: at least one sample"):
        audio.decode(encode(np.zeros(0)), where="a.wav")


def test_nan_samples_are_refused() -> None:
    with pytest.raises(BadItem, match="found NaN or infinite samples"):
        audio.decode(encode(np.array([0.1, np.nan], np.float32), subtype="FLOAT"), where="a.wav")


def test_a_header_of_ten_hours_is_refused_unread() -> None:
    data = bytearray(encode(noise(1000), file_format="FLAC"))
    samples = 10 * 3600 * RATE  # 36 bits of the stream's header
    data[21] = data[21] & 0xF0 | samples >> 32
    data[22:26] = (samples & 0xFFFFFFFF).to_bytes(4, "big")
    with pytest.raises(BadItem, match="found 36,000 s, 576,000,000 samples; valid: at most 600 s"):
        audio.decode(bytes(data), where="a.flac")


def test_ten_hours_of_mp3_are_refused_before_their_end() -> None:
    data = encode(np.zeros(60 * 8000), 8000, "MP3")
    with pytest.raises(BadItem, match="found 600 s, .* valid: at most 600 s"):
        audio.decode(data * 600, where="a.mp3")


def test_an_absurd_rate_is_refused() -> None:
    with pytest.raises(BadItem, match="found a rate of 100,000,000 Hz; valid: 1,000 to 768,000"):
        audio.decode(encode(noise(100), 100_000_000), where="a.wav")


def test_text_in_a_sound_file_is_refused() -> None:
    with pytest.raises(BadItem, match="found text where audio is expected; valid: WAV, FLAC"):
        audio.decode(b"not a sound", where="a.wav")
