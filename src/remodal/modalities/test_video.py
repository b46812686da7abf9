"""What a clip becomes, and which clips are refused."""

from fractions import Fraction
from io import BytesIO

import av
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image as Pillow

from remodal.errors import BadItem
from remodal.modalities import get_modality, reader_of
from remodal.modalities import video as module
from remodal.modalities.packets import opened
from remodal.modalities.video import SHORT_SIDE, Video

video = Video()


def encode(frames: NDArray[np.uint8], container: str = "mp4", codec: str = "mpeg4") -> bytes:
    file = BytesIO()
    with av.open(file, "w", format=container) as output:
        stream = output.add_stream(codec, rate=24)
        assert isinstance(stream, av.VideoStream)
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "yuv420p"
        for frame in frames:
            output.mux(stream.encode(av.VideoFrame.from_ndarray(frame, "rgb24")))
        output.mux(stream.encode())
    return file.getvalue()


def timed(frames: NDArray[np.uint8], seconds: list[float], container: str = "mp4") -> bytes:
    """A clip each of whose frames has a time of its own."""
    file = BytesIO()
    with av.open(file, "w", format=container) as output:
        stream = output.add_stream("mpeg4", rate=1000)
        stream.height, stream.width, stream.pix_fmt = *frames.shape[1:3], "yuv420p"
        for frame, second in zip(frames, seconds):
            picture = av.VideoFrame.from_ndarray(frame, "rgb24")
            picture.pts, picture.time_base = round(1000 * second), Fraction(1, 1000)
            output.mux(stream.encode(picture))
        output.mux(stream.encode())
    return file.getvalue()


def atom(kind: bytes, content: bytes) -> bytes:
    """A part of an MP4."""
    return (8 + len(content)).to_bytes(4, "big") + kind + content


def with_cover(mp4: bytes) -> bytes:
    """A white cover before the first track."""
    cover = BytesIO()
    Pillow.new("RGB", (400, 400), "white").save(cover, "JPEG")
    image = atom(b"covr", atom(b"data", (13).to_bytes(4, "big") + bytes(4) + cover.getvalue()))
    handler = atom(b"hdlr", bytes(8) + b"mdirappl" + bytes(9))
    told = atom(b"udta", atom(b"meta", bytes(4) + handler + atom(b"ilst", image)))
    start = mp4.index(b"moov") - 4  # behind the media, whose place stays
    head = start + 8 + int.from_bytes(mp4[start + 8 : start + 12], "big")
    size = int.from_bytes(mp4[start : start + 4], "big") + len(told)
    return mp4[:start] + size.to_bytes(4, "big") + mp4[start + 4 : head] + told + mp4[head:]


def song() -> bytes:
    """A second of AAC in an MP4, with a cover of 400 x 400 px."""
    file = BytesIO()
    with av.open(file, "w", format="mp4") as output:
        stream = output.add_stream("aac", rate=16_000, layout="mono")
        for start in range(0, 16_384, 1024):
            wave = np.sin(np.arange(start, start + 1024) / 10).astype(np.float32)
            frame = av.AudioFrame.from_ndarray(wave[None], "fltp", "mono")
            frame.sample_rate = 16_000
            output.mux(stream.encode(frame))
        output.mux(stream.encode())
    return with_cover(file.getvalue())


def clip(count: int, height: int = 32, width: int = 48) -> NDArray[np.uint8]:
    """Grey frames, each brighter than the one before by the same step."""
    levels = np.linspace(20, 230, count).astype(np.uint8)
    return np.broadcast_to(levels[:, None, None, None], (count, height, width, 3)).copy()


def levels(frames: NDArray[np.uint8]) -> NDArray[np.float64]:
    return np.asarray(frames.mean(axis=(1, 2, 3)))


@pytest.mark.parametrize(
    ("container", "codec"),
    [("mp4", "libx264"), ("mov", "mpeg4"), ("avi", "mpeg4"), ("matroska", "libx264"), ("webm", "libvpx")],
)
def test_eight_frames_from_the_first_to_the_last(container: str, codec: str) -> None:
    decoded = video.decode(encode(clip(22), container, codec), where="a")
    assert decoded.shape == (8, 32, 48, 3)
    assert decoded.dtype == np.uint8
    assert levels(decoded) == pytest.approx(levels(clip(22)[::3]), abs=4)


def test_a_clip_of_three_frames_repeats_some_in_order() -> None:
    decoded = levels(video.decode(encode(clip(3)), where="a.mp4"))
    assert (np.diff(decoded) > -1).all()
    assert len(np.unique(decoded.round(-1))) == 3


def test_reversing_a_clip_reverses_its_pictures() -> None:
    forwards = video.pictures(video.decode(encode(clip(16)), where="a.mp4"), 16)
    backwards = video.pictures(video.decode(encode(clip(16)[::-1]), where="a.mp4"), 16)
    assert forwards.shape == (8, 16, 16, 3)
    assert np.abs(forwards[::-1].astype(int) - backwards).mean() < 4


def test_large_frames_are_scaled_down() -> None:
    assert video.decode(encode(clip(2, 480, 640)), where="a.mp4").shape == (
        8,
        SHORT_SIDE,
        round(SHORT_SIDE * 4 / 3),
        3,
    )


def test_a_clip_filmed_upright_is_upright() -> None:
    left_half_white = np.zeros((4, 32, 48, 3), np.uint8)
    left_half_white[:, :, :24] = 255
    data = bytearray(encode(left_half_white))
    matrix = data.index(b"tkhd") + 4 + 40  # of the track header; this one turns by 90 degrees to the right
    data[matrix : matrix + 36] = np.array([0, 1 << 16, 0, -1 << 16, 0, 0, 32 << 16, 0, 1 << 30], ">i4").tobytes()
    decoded = video.decode(bytes(data), where="a.mp4")
    assert decoded.shape == (8, 48, 32, 3)
    assert decoded[:, :20].mean() > 230
    assert decoded[:, 28:].mean() < 25


def test_sound_alone_is_no_video() -> None:
    file = BytesIO()
    with av.open(file, "w", format="mp4") as output:
        stream = output.add_stream("aac", rate=16_000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        frame.sample_rate = 16_000
        output.mux(stream.encode(frame))
        output.mux(stream.encode())
    with pytest.raises(BadItem, match="found no video stream; valid: MP4, MOV"):
        video.decode(file.getvalue(), where="a.mp4")


def test_a_video_without_frames_is_refused() -> None:
    data = encode(clip(8), "matroska")
    first_cluster = data.index(b"\x1f\x43\xb6\x75")
    with pytest.raises(BadItem, match=r"^a\.mkv: found "):
        video.decode(data[:first_cluster], where="a.mkv")


@pytest.mark.parametrize("share", [0.1, 0.4, 0.7])
def test_a_clip_cut_short_is_refused(share: float) -> None:
    data = encode(clip(16))  # its index stands at the end
    with pytest.raises(BadItem, match=r"^a\.mp4: found .*; valid: MP4"):
        video.decode(data[: int(len(data) * share)], where="a.mp4")


@pytest.mark.parametrize("container", ["mp4", "matroska"])  # the second one doesn't announce its number of frames
def test_too_many_frames_are_refused(container: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_VIDEO_FRAMES", 10)
    with pytest.raises(BadItem, match=r"found .*frames; valid: at most 1,200 s and 10 frames"):
        video.decode(encode(clip(16), container), where="a")


def test_a_clip_too_long_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_VIDEO_SECONDS", 1.0)
    with pytest.raises(BadItem, match=r"found 2 s, 48 frames; valid: at most 1 s"):
        video.decode(encode(clip(48)), where="a.mp4")


def test_frames_too_large_are_refused_unread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_VIDEO_PIXELS", 1000)
    with pytest.raises(BadItem, match="found frames too large or without a size; valid: at most 1,000 pixels"):
        video.decode(encode(clip(2)), where="a.mp4")


def test_a_frame_larger_than_its_header_says_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    file = BytesIO()
    with av.open(file, "w", format="avi") as output:
        stream = output.add_stream("mjpeg", rate=24)  # where each frame is a JPEG with a header of its own
        stream.height, stream.width, stream.pix_fmt = 32, 48, "yuvj420p"
        for time, (height, width) in enumerate([(32, 48), (32, 48), (64, 96)]):
            jpeg = BytesIO()
            Pillow.fromarray(clip(1, height, width)[0]).save(jpeg, "JPEG")
            packet = av.Packet(jpeg.getvalue())
            packet.stream, packet.pts, packet.dts = stream, time, time
            output.mux(packet)
    assert video.decode(file.getvalue(), where="a.avi").shape == (8, 32, 48, 3)
    monkeypatch.setattr(module, "MAX_VIDEO_PIXELS", 2000)
    with pytest.raises(BadItem, match=r"^a\.avi: found AVI that can't be decoded"):
        video.decode(file.getvalue(), where="a.avi")


def test_text_in_a_video_file_is_refused() -> None:
    with pytest.raises(BadItem, match="found text where video is expected; valid: MP4"):
        video.decode(b"not a clip", where="a.mp4")


@pytest.mark.parametrize("container", ["mp4", "matroska"])
def test_frames_are_even_in_time(container: str) -> None:
    seconds = [*np.arange(30) / 30, *range(1, 10)]  # thirty in the first second, then one a second
    told = np.array([20 + 20 * second for second in seconds]).astype(np.uint8)
    frames = np.broadcast_to(told[:, None, None, None], (len(told), 32, 48, 3)).copy()
    decoded = levels(video.decode(timed(frames, seconds, container), where="a"))
    assert decoded == pytest.approx([20 + 20 * second for second in (0, 1, 3, 4, 5, 6, 8, 9)], abs=4)


def test_frames_that_jitter_are_taken_by_their_number() -> None:
    seconds = (np.arange(22) + np.random.default_rng(0).uniform(-0.3, 0.3, 22)) / 30 + 1
    assert levels(video.decode(timed(clip(22), list(seconds)), where="a")) == pytest.approx(
        levels(clip(22)[::3]), abs=4
    )


@pytest.mark.parametrize("before", [b"wide", b"free", b"skip", b"mdat"])
def test_a_quicktime_file_without_a_brand_is_read(before: bytes) -> None:
    data = encode(clip(22), "mov")
    brand = int.from_bytes(data[:4], "big")
    assert data[4:8] == b"ftyp"
    unbranded = atom(before, bytes(brand - 8)) + data[brand:]
    assert reader_of(unbranded, "a.mov").name == "video"
    assert np.array_equal(video.decode(unbranded, where="a.mov"), video.decode(data, where="a.mov"))


def test_the_cover_of_a_clip_is_not_the_clip() -> None:
    data = encode(clip(22))
    assert av.open(BytesIO(with_cover(data))).streams.video[0].codec_context.name == "mjpeg"
    assert reader_of(with_cover(data), "a.mp4").name == "video"
    assert np.array_equal(video.decode(with_cover(data), where="a.mp4"), video.decode(data, where="a.mp4"))
    assert video.pixels(with_cover(data), where="a.mp4") == 8 * 32 * 48


def test_a_song_with_a_cover_is_a_sound() -> None:
    assert len(av.open(BytesIO(song())).streams.video) == 1
    assert reader_of(song(), "song.mp4").name == "audio"
    assert len(get_modality("audio").decode(song(), where="song.mp4")) == pytest.approx(16_384, abs=2048)
    with pytest.raises(BadItem, match="found no video stream; valid: MP4"):
        video.decode(song(), where="song.mp4")


def test_a_cover_beyond_the_limit_costs_nothing() -> None:
    for pixels, seen in ((400 * 400, "yuvj420p"), (400 * 400 - 1, None)):
        with opened(song(), pixels) as container:
            assert container.streams.video[0].codec_context.pix_fmt == seen


@pytest.mark.parametrize(("container", "codec"), [("mp4", "libx264"), ("mp4", "mpeg4"), ("avi", "mpeg4")])
def test_a_clip_with_a_damaged_part_is_read(container: str, codec: str) -> None:
    rng = np.random.default_rng(0)
    data = encode((clip(40, 64, 96) // 2 + rng.integers(0, 120, (40, 64, 96, 3))).astype(np.uint8), container, codec)
    junk = rng.integers(0, 256, 600, dtype=np.uint8).tobytes()
    middle = len(data) // 2
    decoded = video.decode(data[:middle] + junk + data[middle + 600 :], where="a")
    whole = video.decode(data, where="a")
    assert levels(decoded)[[0, 1]] == pytest.approx(levels(whole)[[0, 1]], abs=8)
    assert levels(decoded)[7] == pytest.approx(levels(whole)[7], abs=25)
