"""What a sound becomes, what its pictures show, and which sounds are refused."""

import struct
from io import BytesIO
from typing import Any

import av
import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from remodal.errors import BadItem, PartlyDecoded
from remodal.modalities.audio import RATE, SPAN, Audio

audio = Audio()


def encode(wave: NDArray[Any], rate: int = RATE, file_format: str = "WAV", subtype: str | None = None) -> bytes:
    file = BytesIO()
    soundfile.write(file, wave, rate, format=file_format, subtype=subtype)
    return file.getvalue()


def tone(hertz: float, seconds: float = 1.25, rate: int = RATE) -> NDArray[np.float32]:
    return (0.5 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


def through_libav(wave: NDArray[np.float32], container: str, codec: str, rate: int = RATE) -> bytes:
    """Mono, by what phones and browsers write."""
    file = BytesIO()
    with av.open(file, "w", format=container) as output:
        stream = output.add_stream(codec, rate=rate, layout="mono")
        resampler = av.AudioResampler(stream.format, stream.layout, rate, frame_size=stream.frame_size)
        whole = av.AudioFrame.from_ndarray(wave[None], "fltp", "mono")
        whole.sample_rate = rate
        for frame in (*resampler.resample(whole), *resampler.resample(None)):
            output.mux(stream.encode(frame))
        output.mux(stream.encode())
    return file.getvalue()


def damaged(data: bytes, start: int, length: int) -> bytes:
    junk = np.random.default_rng(1).integers(0, 255, length, dtype=np.uint8).tobytes()
    return data[:start] + junk + data[start + length :]


def tagged(data: bytes) -> bytes:
    """Behind an ID3 tag of 300 bytes."""
    return b"ID3\4\0\0" + bytes((0, 0, 300 >> 7, 300 & 127)) + bytes(300) + data


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


@pytest.mark.parametrize(
    ("container", "codec"),
    [("ipod", "aac"), ("mp4", "aac"), ("mov", "pcm_s16le"), ("adts", "aac"), ("webm", "libopus"), ("ipod", "alac")],
)
def test_the_sound_of_phones_and_browsers_is_read(container: str, codec: str) -> None:
    rate = 48_000
    decoded = audio.decode(through_libav(tone(440, 2, rate), container, codec, rate), where="a")
    assert decoded.shape == pytest.approx((2 * RATE,), abs=RATE // 10)
    middle = slice(RATE // 2, RATE)
    spectrum = np.abs(np.fft.rfft(decoded[middle]))
    assert spectrum.argmax() == 220
    assert decoded[middle].std() == pytest.approx(tone(440).std(), rel=0.1)


@pytest.mark.parametrize("file_format", ["AIFF", "RF64", "WAVEX"])
def test_the_relatives_of_wav_are_read(file_format: str) -> None:
    decoded = audio.decode(encode(tone(440, 1), file_format=file_format, subtype="PCM_16"), where="a")
    assert decoded == pytest.approx(tone(440, 1), abs=1e-3)


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"])
def test_the_depth_of_samples_makes_no_difference(subtype: str) -> None:
    decoded = audio.decode(encode(tone(440, 1), subtype=subtype), where="a.wav")
    assert decoded == pytest.approx(tone(440, 1), abs=0.01)


@pytest.mark.parametrize("right", [-1.0, -0.9, -0.5])
def test_opposed_channels_are_as_the_louder_one_alone(right: float) -> None:
    left = noise(RATE)
    alone, both = (
        audio.decode(encode(wave, subtype="FLOAT"), where="a.wav") for wave in (left, np.stack([left, right * left], 1))
    )
    assert np.array_equal(audio.pictures(both, 64), audio.pictures(alone, 64))


def test_channels_that_do_not_cancel_are_mixed_to_their_mean() -> None:
    left, right = tone(440, 1), noise(RATE)
    decoded = audio.decode(encode(np.stack([left, right], 1), subtype="FLOAT"), where="a.wav")
    mean = np.stack([left, right]).mean(axis=0)
    assert np.array_equal(decoded, mean - mean.mean())


@pytest.mark.parametrize(
    ("value", "file_format", "subtype"),
    [
        (0, "WAV", "PCM_16"),
        (0, "FLAC", None),
        (0, "OGG", "VORBIS"),
        (0, "MP3", None),
        (0.25, "WAV", "PCM_U8"),
        (-0.5, "WAV", "FLOAT"),
        (0.25, "FLAC", None),
    ],
)
def test_silence_and_one_value_all_along_are_refused(value: float, file_format: str, subtype: str | None) -> None:
    data = encode(np.full((RATE, 2), value, np.float32), RATE, file_format, subtype)
    with pytest.raises(BadItem, match="^a: found silence, or one value all along; valid: a sound$"):
        audio.decode(data, where="a")


def test_a_quiet_sound_of_24_bits_is_read() -> None:
    quiet = np.float32(1e-4) * tone(440, 1)
    assert audio.decode(encode(quiet, subtype="PCM_24"), where="a.wav") == pytest.approx(quiet, abs=1e-6)


@pytest.mark.parametrize("file_format", ["FLAC", "MP3"])
def test_a_sound_behind_a_tag_is_the_sound(file_format: str) -> None:
    data = encode(tone(440, 1), file_format=file_format)
    decoded = audio.decode(data, where="a")
    for before in (tagged(data), tagged(tagged(data))):
        assert np.array_equal(audio.decode(before, where="a"), decoded)


def test_what_follows_an_mp3_is_no_part_of_it() -> None:
    data = encode(tone(440, 3), file_format="MP3")
    decoded = audio.decode(data, where="a.mp3")
    page = b"<html><body>" + b"<p>Not found.</p>" * 500 + b"</body></html>"
    for tail in (page, damaged(bytes(5000), 0, 5000), b"TAG" + bytes(125)):
        longer = audio.decode(data + tail, where="a.mp3")
        assert len(longer) == pytest.approx(len(decoded), abs=2000)
        assert np.allclose(longer[: 2 * RATE], decoded[: 2 * RATE], atol=1e-3)


@pytest.mark.parametrize(
    ("file_format", "subtype"), [("MP3", None), ("FLAC", None), ("OGG", "VORBIS"), ("OGG", "OPUS")]
)
def test_of_a_damaged_sound_the_rest_is_read(file_format: str, subtype: str | None) -> None:
    rate = 48_000
    data = encode(tone(440, 6, rate) + noise(6 * rate) / 10, rate, file_format, subtype)
    decoded = audio.decode(damaged(data, len(data) // 2, 600), where="a")
    assert 3.5 * RATE < len(decoded) < 6.1 * RATE
    for part in (decoded[RATE // 2 : RATE], decoded[-RATE : -RATE // 2]):
        assert np.abs(np.fft.rfft(part)).argmax() == pytest.approx(220, abs=1)


def test_a_good_part_that_is_missing_is_told() -> None:
    data = bytearray(encode(tone(440, 6), file_format="MP3"))
    for start in range(2000, len(data) // 3, 1000):
        data[start : start + 900] = damaged(bytes(900), 0, 900)
    told = r"^a: found [\d,]+ of [\d,]+ bytes that can't be decoded; the rest is used$"
    with pytest.warns(PartlyDecoded, match=told):
        assert len(audio.decode(bytes(data), where="a")) > 3 * RATE


def test_a_small_part_that_is_missing_is_not_told(recwarn: pytest.WarningsRecorder) -> None:
    data = encode(tone(440, 6), file_format="MP3")
    audio.decode(damaged(data, len(data) // 2, 600), where="a")
    audio.decode(data + b"<html><p>Not found.</p></html>" * 300, where="a")
    assert not recwarn.list


def test_a_sound_of_which_little_is_left_is_refused() -> None:
    data = bytearray(encode(tone(440, 6), file_format="MP3"))
    for start in range(1000, len(data) - 1000, 1000):
        data[start : start + 900] = damaged(bytes(900), 0, 900)
    with pytest.raises(
        BadItem, match=r"^a: found [\d,]+ of [\d,]+ bytes that can't be decoded; valid: at most half of them$"
    ):
        audio.decode(bytes(data), where="a")


@pytest.mark.parametrize("sizes", [(0, 0), (36, 0)])
def test_a_recording_whose_length_was_never_written_is_read(sizes: tuple[int, int]) -> None:
    data = bytearray(encode(tone(440, 1), subtype="PCM_16"))
    length = data.index(b"data") + 4
    data[4:8], data[length : length + 4] = (struct.pack("<I", size) for size in sizes)
    assert np.array_equal(audio.decode(bytes(data), where="a.wav"), audio.decode(encode(tone(440, 1)), where="a.wav"))


@pytest.mark.parametrize(("samples", "rate"), [(2, 1_000), (20, 8_000), (20, 48_000), (500, 768_000), (100, 11_025)])
def test_a_sound_of_a_few_samples_is_read(samples: int, rate: int) -> None:
    decoded = audio.decode(encode(tone(rate / 10, samples / rate, rate), rate), where="a.wav")
    assert len(decoded) == pytest.approx(samples * RATE / rate, abs=2)
    assert np.isfinite(decoded).all()


def test_samples_beyond_all_scales_are_refused() -> None:
    loud = np.float32(1e25) * tone(440, 1)
    with pytest.raises(BadItem, match=r"found samples up to 5\.0e\+24; valid: from -1 to 1, at most 2e\+09"):
        audio.decode(encode(loud, subtype="FLOAT"), where="a.wav")


def test_integers_written_as_floats_look_as_they_should() -> None:
    whole = audio.decode(encode(np.float32(2**15) * tone(440, 1), subtype="FLOAT"), where="a.wav")
    drawn, scaled = (audio.pictures(wave, 64).astype(int) for wave in (tone(440, 1), whole))
    assert np.abs(drawn - scaled).max() <= 1


def test_a_clip_without_sound_is_no_sound() -> None:
    file = BytesIO()
    with av.open(file, "w", format="mp4") as output:
        stream = output.add_stream("mpeg4", rate=24)
        stream.width, stream.height = 32, 32
        output.mux(stream.encode(av.VideoFrame(32, 32, "yuv420p")))
        output.mux(stream.encode())
    with pytest.raises(BadItem, match="found MP4 without sound where audio is expected; valid: WAV"):
        audio.decode(file.getvalue(), where="a.mp4")


@pytest.mark.parametrize(("file_format", "subtype"), [("WAV", None), ("FLAC", None), ("OGG", "VORBIS"), ("MP3", None)])
def test_of_a_sound_cut_short_the_rest_is_read(file_format: str, subtype: str | None) -> None:
    data = encode(tone(440, 20) + noise(20 * RATE) / 10, RATE, file_format, subtype)
    decoded = audio.decode(data[: len(data) // 2], where="a")
    assert 5 * RATE < len(decoded) < 12 * RATE
    assert np.abs(np.fft.rfft(decoded[RATE : 2 * RATE])).argmax() == 440


def test_a_flac_that_does_not_say_how_long_it_is_is_read() -> None:
    data = bytearray(encode(tone(440, 1), file_format="FLAC"))
    data[21:26] = bytes([data[21] & 0xF0, 0, 0, 0, 0])
    assert audio.decode(bytes(data), where="a.flac") == pytest.approx(tone(440, 1), abs=1e-3)
