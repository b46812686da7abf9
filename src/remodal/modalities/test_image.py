"""What an image file becomes, and which image files are refused."""

import struct
import sys
import zlib
from base64 import b85decode
from io import BytesIO

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as Pillow
from PIL import ImageOps

from remodal.errors import BadItem
from remodal.modalities import get_modality
from remodal.modalities.image import DRAFT, Image

image = Image()


def encode(picture: Pillow.Image, file_format: str = "PNG", **options: object) -> bytes:
    file = BytesIO()
    picture.save(file, file_format, **options)
    return file.getvalue()


def with_chunk(png: bytes, kind: bytes, content: bytes) -> bytes:
    """A PNG with one chunk more behind its header."""
    chunk = struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
    return png[:33] + chunk + png[33:]


def exif(orientation: int, *tags: tuple[int, int, int, bytes]) -> bytes:
    """An EXIF block of that orientation and odd tags: their numbers, types, counts, and values of eight bytes."""
    entries = [struct.pack("<HHIHH", 0x0112, 3, 1, orientation, 0)]
    values, start = b"", 8 + 2 + 12 * (1 + len(tags)) + 4
    for number, kind, count, value in tags:
        entries.append(struct.pack("<HHII", number, kind, count, start + len(values)))
        values += value
    table = struct.pack("<H", len(entries)) + b"".join(entries) + bytes(4)
    return b"Exif\0\0" + b"II*\0" + struct.pack("<I", 8) + table + values


def noise(mode: str = "RGB", width: int = 40, height: int = 30) -> Pillow.Image:
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Pillow.fromarray(pixels).convert(mode)


@pytest.mark.parametrize("file_format", ["PNG", "JPEG", "WEBP", "AVIF", "BMP", "GIF", "TIFF"])
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


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize(
    "odd",
    [
        (0x011A, 10, 1, struct.pack("<ii", -1, 0)),  # a signed rational without a value
        (0x0128, 2, 8, b"inches\0\0"),  # text where a number belongs
        (0x9204, 5, 1, struct.pack("<ii", -1, 0)),
    ],
)
def test_an_odd_tag_does_not_keep_a_photo_from_being_upright(
    odd: tuple[int, int, int, bytes], file_format: str
) -> None:
    stored = Pillow.new("RGB", (40, 30), "black")
    stored.paste("white", (0, 0, 40, 15))
    decoded = image.decode(encode(stored, file_format, exif=exif(6, odd)), where="a")
    assert decoded.shape == (40, 30, 3)
    assert decoded[:, 20:].mean() > 250


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_is_turned_as_pillow_turns_it(orientation: int) -> None:
    written = Pillow.Exif()
    written[0x0112] = orientation
    data = encode(noise(), exif=written)
    assert np.array_equal(image.decode(data, where="a.png"), ImageOps.exif_transpose(Pillow.open(BytesIO(data))))


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
def test_broken_exif_does_not_cost_the_picture() -> None:
    data = encode(noise(), exif=b"Exif\0\0MM\0*\0\0\xff\xff")
    assert np.array_equal(image.decode(data, where="a.png"), np.asarray(noise()))


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        (b"iCCP", b"ICC Profile\0\0" + zlib.compress(bytes(1_300_000))),
        (b"zTXt", b"Comment\0\0" + zlib.compress(b"x" * 2**21)),
        (b"iTXt", b"Comment\0\1\0\0\0" + zlib.compress(b"x" * 2**21)),
        (b"tEXt", b"Comment\0" + b"x" * (65 * 2**20)),
        (b"sRGB", b""),
    ],
)
def test_what_a_png_says_beside_its_pixels_does_not_matter(kind: bytes, content: bytes) -> None:
    data = with_chunk(encode(noise("RGBA")), kind, content)
    assert np.array_equal(image.decode(data, where="a.png"), image.decode(encode(noise("RGBA")), where="a.png"))


def test_the_orientation_in_a_png_text_counts() -> None:
    xmp = b"XML:com.adobe.xmp\0\0\0\0\0" + b'<x:xmpmeta><rdf tiff:Orientation="6"/></x:xmpmeta>'
    decoded = image.decode(with_chunk(encode(noise()), b"iTXt", xmp), where="a.png")
    assert np.array_equal(decoded, np.rot90(np.asarray(noise()), -1))


def test_a_big_tiff_is_read() -> None:
    data = encode(noise(), "TIFF", big_tiff=True)
    assert data[:4] == b"II+\0"
    assert np.array_equal(image.decode(data, where="a.tif"), np.asarray(noise()))


def test_an_avif_stored_on_its_side_is_upright() -> None:
    written = Pillow.Exif()
    written[0x0112] = 6
    assert image.decode(encode(noise(), "AVIF", exif=written), where="a.avif").shape == (40, 30, 3)


# 64 x 64 px, its left half white, to be turned by 90 degrees to the right: nothing here encodes HEIC
HEIC = zlib.decompress(
    b85decode(
        "c-mc2y-UMT5Wkn$8nIUKgO(~q#lerM;NTdvA`ac%Y<x-RLDD?ZP$DjNa2JQp`VXj!i<1t5|AbI<a}dYk2k~AKMS8sV?(TQLyW{Qwz?>Z%iiU+8NL"
        ";il(st3X0oa9W1qLLt&@df8wLu^cU_jQ<@!}#?9TZ^FVh@QXnI%jjy+34$?gnDhjy)NjA;(H+0F5@Uz(0^l%65n`JufhDA!R}jg)d0oq2M0rkaD+}"
        "DxuSuRDOrA?|vU(T&+_^QD-?8MUtROhAL0_R?!U#u5B_l5ILXkWV)}rE0;~Bl+z^iC?8EfApUTb-TT*zI<=YNp5r&U6B0ZI*<*sHu_df@U_HGP0z;"
        "I5s%caWM$q>H>I6j;?(e!8uuMl$hfc^Yp>NqKp66zZ$NQC&@3^KRKccYAuJ-z!v;D%y)96w3S-&w~qPOQRg|f-cYBg9TPXop#<ye%SO)CBXPheYF"
    )
)


@pytest.mark.parametrize("brands", [b"heic\0\0\0\0mif1heic", b"mif1\0\0\0\0mif1heic"])
def test_the_photographs_of_phones_are_read_where_their_decoder_is_installed(brands: bytes) -> None:
    pytest.importorskip("pi_heif")
    decoded = image.decode(HEIC[:8] + brands + HEIC[24:], where="a.heic")
    assert decoded.shape == (64, 64, 3)
    assert decoded[:28].mean() > 240
    assert decoded[36:].mean() < 15


def test_where_it_is_not_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pi_heif", None)
    with pytest.raises(BadItem, match=r"found a HEIC picture \(to read it: pip install 'remodal\[heif\]'\)"):
        image.decode(HEIC, where="a.heic")


def test_a_pointer_in_place_of_a_picture_is_named() -> None:
    pointer = b"version https://git-lfs.example/spec/v1\noid sha256:0\nsize 9\n"
    with pytest.raises(BadItem, match=r"found a pointer of Git LFS in place of the file \(git lfs pull fetches it\)"):
        image.decode(pointer, where="a.png")
