"""Which file format some bytes are in, from their first bytes alone: never from a file name."""

from __future__ import annotations

from io import BytesIO
from typing import BinaryIO, NamedTuple

from PIL.AvifImagePlugin import AvifImageFile
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile


class Format(NamedTuple):
    """A file format.

    Attributes:
        name: What people call it.
        readers: The modalities whose decoder reads it.
        suffix: How the names of its files end; empty where none of ours decodes it.
        opener: Pillow's class that parses the header, for a picture.
        container: What libav calls it, for what holds sound or moving pictures.
    """

    name: str
    readers: tuple[str, ...] = ()
    suffix: str = ""
    opener: type[ImageFile] | None = None
    container: str = ""


PNG = Format("PNG", ("image", "depth"), ".png", PngImageFile)
TIFF = Format("TIFF", ("image", "depth"), ".tiff", TiffImageFile)
JPEG = Format("JPEG", ("image",), ".jpg", JpegImageFile)
GIF = Format("GIF", ("image",), ".gif", GifImageFile)
BMP = Format("BMP", ("image",), ".bmp", BmpImageFile)
WEBP = Format("WebP", ("image",), ".webp", WebPImageFile)
AVIF = Format("AVIF", ("image",), ".avif", AvifImageFile)
WAV = Format("WAV", ("audio",), ".wav", container="wav")
FLAC = Format("FLAC", ("audio",), ".flac", container="flac")
OGG = Format("Ogg", ("audio",), ".ogg", container="ogg")
AIFF = Format("AIFF", ("audio",), ".aiff", container="aiff")
MP3 = Format("MP3", ("audio",), ".mp3", container="mp3")
AAC = Format("AAC", ("audio",), ".aac", container="aac")
M4A = Format("M4A", ("audio",), ".m4a", container="mov")
# these hold a clip, or sound alone
MP4 = Format("MP4", ("video", "audio"), ".mp4", container="mov")
MOV = Format("MOV", ("video", "audio"), ".mov", container="mov")
MATROSKA = Format("Matroska or WebM", ("video", "audio"), ".mkv", container="matroska")
AVI = Format("AVI", ("video",), ".avi", container="avi")
TEXT = Format("text", ("text",), ".txt")
POINTER = Format("a pointer of Git LFS in place of the file (git lfs pull fetches it)")
UNKNOWN = Format("bytes that are neither UTF-8 text nor of a known format")

_MAGIC = (
    (b"\x89PNG\r\n\x1a\n", PNG),
    (b"II*\0", TIFF),
    (b"MM\0*", TIFF),
    (b"II+\0", TIFF),  # BigTIFF
    (b"MM\0+", TIFF),
    (b"\xff\xd8\xff", JPEG),
    (b"GIF87a", GIF),
    (b"GIF89a", GIF),
    (b"BM", BMP),
    (b"OggS", OGG),
    (b"fLaC", FLAC),
    (b"\x1aE\xdf\xa3", MATROSKA),
)
# the four letters at byte 8 of the files that begin with these
_KINDS = {
    b"RIFF": {b"WAVE": WAV, b"AVI ": AVI, b"WEBP": WEBP},
    b"RF64": {b"WAVE": WAV},
    b"FORM": {b"AIFF": AIFF, b"AIFC": AIFF},
}
_BRANDS = {
    **dict.fromkeys((b"avif", b"avis"), AVIF),
    **dict.fromkeys((b"M4A ", b"M4B ", b"M4P "), M4A),
}
_HEIC = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx")
_ANY_PICTURE = (b"mif1", b"msf1")  # the other brands say how it is encoded
_FIRST_ATOMS = (b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot")  # of a QuickTime file without a brand
_POINTER = b"version https://git-lfs"
_ORIENTATION = (b"Raw profile type exif\0", b"XML:com.adobe.xmp\0")  # texts that tell which side of a PNG is up
MAX_TAGS = 4  # before a sound
HEAD = 1 << 20  # bytes, of a sound or a clip, that tell its format
_WRITTEN = "\t\n\f\r\b\v\x1b"
"""Control characters that people's texts hold: of layout, of a terminal."""


def format_of(data: bytes) -> Format:
    r"""The format of ``data``; text is what is valid UTF-8 and begins without control characters, but for layout.

    >>> format_of(b"OggS\0\2").name, format_of(b"BMW, a maker of cars").name, format_of(b"caf\xe9").name
    ('Ogg', 'text', 'bytes that are neither UTF-8 text nor of a known format')
    """
    if _is_text(data):  # before the magic numbers: some of them are plain letters
        return POINTER if data.startswith(_POINTER) else TEXT
    if data.startswith(b"ID3"):
        behind = _by_magic(data[tag_bytes(data) :][:16])
        return behind if behind in (FLAC, AAC) else MP3
    return _by_magic(data)


def head_of(file: BinaryIO) -> bytes:
    """How a file begins, which tells the format of a sound or a clip; the file is at its beginning afterwards."""
    file.seek(0)
    head = file.read(HEAD)
    file.seek(0)
    return head


def tag_bytes(data: bytes) -> int:
    r"""How many bytes the ID3 tags take that stand before a sound.

    >>> tag_bytes(b"ID3\4\0\0" + bytes((0, 0, 1, 2)) + bytes(130) + b"fLaC"), tag_bytes(b"fLaC")
    (140, 0)
    """
    end = 0
    for _ in range(MAX_TAGS):
        if data[end : end + 3] != b"ID3" or len(data) < end + 10:
            break
        footer = 10 if data[end + 5] & 0x10 else 0
        end += 10 + footer + sum((data[end + 6 + place] & 0x7F) << 21 - 7 * place for place in range(4))
    return end


def open_picture(data: bytes) -> ImageFile:
    """Parse the header of a picture without decoding its pixels.

    The opener is called directly: ``Image.open`` would try every format Pillow knows, and warn in its own way
    of large pictures before our limit can be checked.
    """
    found = format_of(data)
    if found.opener is None:
        raise ValueError("not a picture")
    return found.opener(BytesIO(_bare(data) if found is PNG else data))


def _by_magic(data: bytes) -> Format:
    for magic, found in _MAGIC:
        if data.startswith(magic):
            return found
    if data[:4] in _KINDS:
        return _KINDS[data[:4]].get(data[8:12], UNKNOWN)
    if data[4:8] == b"ftyp":
        return _by_brand(data)
    if data[4:8] in _FIRST_ATOMS:
        return MOV
    if len(data) > 1 and data[0] == 0xFF and data[1] & 0xE6 == 0xE2:  # a bare frame of MPEG layer III
        return MP3
    if len(data) > 1 and data[0] == 0xFF and data[1] & 0xF6 == 0xF0:  # a bare frame of AAC (ADTS)
        return AAC
    return UNKNOWN


def _by_brand(data: bytes) -> Format:
    brand, others = data[8:12], data[16 : min(int.from_bytes(data[:4], "big"), 512)]
    if brand in _ANY_PICTURE:
        each = (others[at : at + 4] for at in range(0, len(others), 4))
        brand = next((one for one in each if _BRANDS.get(one) is AVIF), _HEIC[0])
    return _heic() if brand in _HEIC else _BRANDS.get(brand, MP4)


def _heic() -> Format:
    """Its decoder is an extra, and loaded where it is needed."""
    try:
        from pi_heif import HeifImageFile
    except ImportError:
        return Format("a HEIC picture (to read it: pip install 'remodal[heif]')")
    return Format("HEIC", ("image",), ".heic", HeifImageFile)


def _is_text(data: bytes) -> bool:
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return not any(ord(letter) < 32 and letter not in _WRITTEN for letter in text[:64])


def _bare(png: bytes) -> bytes:
    """A PNG with the chunks alone that its pixels, and which side is up, depend on.

    Pillow refuses a picture whose colour profile or text is large, by limits that hold for the whole process.
    """
    kept, at = [png[:8]], 8
    while at < len(png):
        end = at + 12 + int.from_bytes(png[at : at + 4], "big")
        critical = png[at + 4 : at + 5].isupper()
        if critical or png.startswith((b"tRNS", b"eXIf"), at + 4) or png.startswith(_ORIENTATION, at + 8):
            kept.append(png[at:end])
        at = end
    return b"".join(kept)
