"""What an image file becomes, and which image files are refused."""

import zlib
from io import BytesIO

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as Pillow

from remodal.errors import BadItem
from remodal.modalities import get_modality
from remodal.modalities.image import DRAFT, Image

image = Image()


def encode(picture: Pillow.Image, file_format: str = "PNG", **options: object) -> bytes:
    file = BytesIO()
    picture.save(file, file_format, **options)
    return file.getvalue()


def noise(mode: str = "RGB", width: int = 40, height: int = 30) -> Pillow.Image:
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Pillow.fromarray(pixels).convert(mode)


@pytest.mark.parametrize("file_format", ["PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF"])
def test_every_format_becomes_rgb_height_first(file_format: str) -> None:
    decoded = image.decode(encode(noise(), file_format), where="a")
    assert decoded.shape == (30, 40, 3)
    assert decoded.dtype == np.uint8


def test_a_png_keeps_its_pixels() -> None:
    assert np.array_equal(image.decode(encode(noise()), where="a.png"), np.asarray(noise()))


@pytest.mark.parametrize(("mode", "file_format"), [("L", "PNG"), ("P", "PNG"), ("1", "PNG"), ("CMYK", "JPEG")])
def test_grey_palette_and_cmyk_are_converted(mode: str, file_format: str) -> None:
    picture = noise(mode)
    decoded = image.decode(
        encode(picture, file_format, **({"quality": 95} if file_format == "JPEG" else {})), where="a"
    )
    expected = np.asarray(picture.convert("RGB")).astype(int)
    assert np.abs(decoded - expected).mean() < 12


def test_transparent_pixels_lie_on_white() -> None:
    picture = Pillow.new("RGBA", (2, 1), (255, 0, 0, 0))
    picture.putpixel((1, 0), (255, 0, 0, 255))
    assert image.decode(encode(picture), where="a").tolist() == [[[255, 255, 255], [255, 0, 0]]]


def test_16_bit_grey_spans_the_full_range() -> None:
    picture = Pillow.fromarray(np.array([[0, 0x8000, 0xFFFF]], np.uint16))
    assert image.decode(encode(picture), where="a")[0, :, 0].tolist() == [0, 128, 255]


def test_a_photo_taken_upright_is_upright() -> None:
    exif = Pillow.Exif()
    exif[0x0112] = 6  # the camera was held on its side: turn by 90 degrees to the right
    stored = Pillow.new("RGB", (40, 30), "black")
    stored.paste("white", (0, 0, 40, 15))
    decoded = image.decode(encode(stored, "JPEG", exif=exif), where="a.jpg")
    assert decoded.shape == (40, 30, 3)
    assert decoded[:, 20:].mean() > 250
    assert decoded[:, :10].mean() < 5


def test_the_first_picture_of_an_animation_counts() -> None:
    frames = [Pillow.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
    data = encode(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert image.decode(data, where="a.gif")[0, 0].tolist() == [255, 0, 0]


def test_a_large_jpeg_is_decoded_smaller() -> None:
    decoded = image.decode(encode(noise(width=3 * DRAFT, height=2 * DRAFT), "JPEG"), where="a.jpg")
    assert decoded.shape == (DRAFT, 3 * DRAFT // 2, 3)


def test_pictures_show_the_centre_square() -> None:
    stripes = np.zeros((20, 60, 3), np.uint8)
    for channel in range(3):
        stripes[:, 20 * channel : 20 * (channel + 1), channel] = 255
    drawn = image.pictures(stripes, 20)
    assert drawn.shape == (1, 20, 20, 3)
    assert (drawn[0] == [0, 255, 0]).all()


@given(st.integers(1, 200), st.integers(1, 200), st.sampled_from([32, 128]))
def test_pictures_have_the_size_asked_for(width: int, height: int, size: int) -> None:
    assert image.pictures(np.full((height, width, 3), 7, np.uint8), size).shape == (1, size, size, 3)


@given(st.floats(0.01, 0.95))
def test_a_png_cut_short_is_refused(share: float) -> None:
    data = encode(noise())
    with pytest.raises(BadItem, match=r"^cut\.png: found "):
        image.decode(data[: int(len(data) * share) + 1], where="cut.png")


def test_a_header_of_ten_billion_pixels_is_refused_unread() -> None:
    data = bytearray(encode(noise()))
    data[16:24] = (100_000).to_bytes(4, "big") * 2
    data[29:33] = zlib.crc32(data[12:29]).to_bytes(4, "big")
    with pytest.raises(BadItem, match="found 100000 x 100000 pixels; valid: at most 64,000,000 in all"):
        image.decode(bytes(data), where="bomb.png")


def test_text_in_an_image_file_is_refused() -> None:
    with pytest.raises(BadItem, match=r"a\.png: found text where image is expected; valid: PNG, JPEG"):
        get_modality("image").decode(b"not a picture", where="a.png")


def test_float_pixels_are_refused() -> None:
    data = encode(Pillow.fromarray(np.ones((4, 4), np.float32)), "TIFF")
    with pytest.raises(BadItem, match="found pixels of 32 bits; valid: 8 or 16 bits"):
        image.decode(data, where="a.tif")
