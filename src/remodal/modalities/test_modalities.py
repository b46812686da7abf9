"""What all modalities share: their names, which decoder reads which bytes, and refusals that stay quiet."""

from io import BytesIO
from typing import Any

import av
import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray
from PIL import Image

from remodal.errors import BadItem, UnknownName
from remodal.modalities import MODALITIES, base, get_modality, reader_of
from remodal.modalities.formats import format_of

NOISE = np.random.default_rng(0).integers(1, 256, (24, 32, 3), dtype=np.uint8)


def picture(pixels: NDArray[Any], file_format: str) -> bytes:
    file = BytesIO()
    Image.fromarray(pixels).save(file, file_format)
    return file.getvalue()


def sound(file_format: str) -> bytes:
    file = BytesIO()
    soundfile.write(file, NOISE.ravel() / 300, 16_000, format=file_format)
    return file.getvalue()


def clip(container: str) -> bytes:
    file = BytesIO()
    with av.open(file, "w", format=container) as output:
        stream = output.add_stream("mpeg4", rate=24)
        stream.height, stream.width = NOISE.shape[:2]
        output.mux(stream.encode(av.VideoFrame.from_ndarray(NOISE, "rgb24")))
        output.mux(stream.encode())
    return file.getvalue()


def recording(container: str) -> bytes:
    """Sound alone, in what may hold a clip."""
    file = BytesIO()
    with av.open(file, "w", format=container) as output:
        stream = output.add_stream("aac", rate=16_000, layout="mono")
        frame = av.AudioFrame.from_ndarray(NOISE.ravel()[None, :1024] / np.float32(300), "fltp", "mono")
        frame.sample_rate = 16_000
        output.mux(stream.encode(frame))
        output.mux(stream.encode())
    return file.getvalue()


FILES = {
    "image": [picture(NOISE, name) for name in ("PNG", "JPEG", "WEBP", "AVIF", "BMP", "GIF", "TIFF")]
    + [picture(NOISE[..., 0], "PNG")],
    "video": [clip(name) for name in ("mp4", "mov", "avi", "matroska")],
    "audio": [sound(name) for name in ("WAV", "FLAC", "OGG", "MP3", "AIFF")]
    + [recording(name) for name in ("adts", "ipod", "mp4", "3gp", "mov", "matroska")],
    "depth": [picture(NOISE[..., 0].astype(np.uint16), name) for name in ("PNG", "TIFF")]
    + [picture(NOISE[..., 0].astype(np.float32), "TIFF")],
    "text": [b"Wo ist meine Karte?", "漢字".encode(), b"BMW, GIF89a, ID3 and RIFF are letters too"],
}
EACH = [(name, data) for name, files in FILES.items() for data in files]


def test_the_order_of_modalities_is_fixed() -> None:
    assert list(MODALITIES) == ["image", "video", "audio", "depth", "text"]
    assert all(get_modality(name).name == name for name in MODALITIES)


def test_an_unknown_modality_is_named() -> None:
    with pytest.raises(UnknownName, match="unknown modality 'vidio'; did you mean 'video'"):
        get_modality("vidio")


@pytest.mark.parametrize(("name", "data"), EACH)
def test_the_reader_is_found_from_content(name: str, data: bytes) -> None:
    assert reader_of(data, "a").name == name


@pytest.mark.parametrize(("name", "data"), EACH)
def test_a_file_may_be_named_after_its_format(name: str, data: bytes) -> None:
    assert format_of(data).suffix in get_modality(name).suffixes


@pytest.mark.parametrize("data", [b"", b"%PDF-1.7\n\xe2\xe3", bytes(64), b"\x89PNG\r\n\x1a\n\0\0"])
def test_what_no_decoder_reads_is_refused(data: bytes) -> None:
    with pytest.raises(BadItem, match=r"^a: found .*; valid: .*PNG"):
        reader_of(data, "a")


@pytest.mark.parametrize("name", MODALITIES)
def test_an_empty_file_is_refused(name: str) -> None:
    with pytest.raises(BadItem, match="^a: found an empty file; valid: "):
        get_modality(name).decode(b"", where="a")


@pytest.mark.parametrize("name", MODALITIES)
def test_a_file_too_large_is_refused(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base, "MAX_FILE_BYTES", 10)
    with pytest.raises(BadItem, match="^a: found 11 bytes; valid: at most 10"):
        get_modality(name).decode(b"x" * 11, where="a")


@pytest.mark.parametrize("name", MODALITIES)
def test_contents_of_another_kind_are_refused(name: str) -> None:
    pictures = {"image", "depth"}  # both read PNG and TIFF
    for other, data in EACH:
        if other != name and {other, name} != pictures:
            with pytest.raises(BadItem, match=f"^a: found (.* where {name} is expected|no video stream); valid: "):
                get_modality(name).decode(data, where="a")


@pytest.mark.parametrize(("name", "data"), [each for each in EACH if each[0] != "text"])
@pytest.mark.filterwarnings("ignore::UserWarning:PIL")  # of Python's kind: the application's to show or hide
def test_broken_bytes_are_decoded_or_refused_in_one_quiet_line(
    name: str, data: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(0)
    for cut in np.linspace(1, len(data), 20).astype(int):
        broken = np.frombuffer(data, np.uint8)[:cut].copy()
        broken[rng.integers(0, cut, 3)] ^= rng.integers(1, 256, 3, dtype=np.uint8)
        try:
            get_modality(name).decode(broken.tobytes(), where="a", unit="mm")
        except BadItem as error:
            assert "\n" not in str(error)
            assert " at 0x" not in str(error)
    assert capfd.readouterr() == ("", "")
