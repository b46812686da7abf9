"""Which file format some bytes are in, from their first bytes alone: never from a file name."""

from __future__ import annotations

from io import BytesIO
from typing import NamedTuple

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
    """

    name: str
    readers: tuple[str, ...] = ()
    suffix: str = ""
    opener: type[ImageFile] | None = None


PNG = Format("PNG", ("image", "depth"), ".png", PngImageFile)
TIFF = Format("TIFF", ("image", "depth"), ".tiff", TiffImageFile)
JPEG = Format("JPEG", ("image",), ".jpg", JpegImageFile)
GIF = Format("GIF", ("image",), ".gif", GifImageFile)
BMP = Format("BMP", ("image",), ".bmp", BmpImageFile)
WEBP = Format("WebP", ("image",), ".webp", WebPImageFile)
MP3 = Format("MP3", ("audio",), ".mp3")
TEXT = Format("text", ("text",), ".txt")
UNKNOWN = Format("bytes that are neither UTF-8 text nor of a known format")

_MAGIC = (
    (b"\x89PNG\r\n\x1a\n", PNG),
    (b"II*\0", TIFF),
    (b"MM\0*", TIFF),
    (b"\xff\xd8\xff", JPEG),
    (b"GIF87a", GIF),
    (b"GIF89a", GIF),
    (b"BM", BMP),
    (b"OggS", Format("Ogg", ("audio",), ".ogg")),
    (b"fLaC", Format("FLAC", ("audio",), ".flac")),
    (b"ID3", MP3),
    (b"\x1aE\xdf\xa3", Format("Matroska or WebM", ("video",), ".mkv")),
)
_RIFF = {
    b"WAVE": Format("WAV", ("audio",), ".wav"),
    b"AVI ": Format("AVI", ("video",), ".avi"),
    b"WEBP": WEBP,
}
_MP4 = Format("MP4", ("video",), ".mp4")
_NOT_VIDEO = {brand: Format("HEIF picture") for brand in (b"avif", b"avis", b"heic", b"heix", b"mif1")} | {
    b"M4A ": Format("AAC sound")
}


def format_of(data: bytes) -> Format:
    r"""The format of ``data``; text is what is valid UTF-8 without control characters.

    >>> format_of(b"OggS\0\2").name, format_of(b"BMW, a maker of cars").name, format_of(b"caf\xe9").name
    ('Ogg', 'text', 'bytes that are neither UTF-8 text nor of a known format')
    """
    if _is_text(data):  # before the magic numbers: some of them are plain letters
        return TEXT
    for magic, found in _MAGIC:
        if data.startswith(magic):
            return found
    if data[:4] == b"RIFF":
        return _RIFF.get(data[8:12], UNKNOWN)
    if data[4:8] == b"ftyp":
        return _NOT_VIDEO.get(data[8:12], _MP4)
    if len(data) > 1 and data[0] == 0xFF and data[1] & 0xE6 == 0xE2:  # a bare frame of MPEG layer III
        return MP3
    return UNKNOWN


def open_picture(data: bytes) -> ImageFile:
    """Parse the header of a picture without decoding its pixels.

    The opener is called directly: ``Image.open`` would try every format Pillow knows, and warn in its own way
    of large pictures before our limit can be checked.
    """
    opener = format_of(data).opener
    if opener is None:
        raise ValueError("not a picture")
    return opener(BytesIO(data))


def _is_text(data: bytes) -> bool:
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return not any(ord(letter) < 32 and letter not in "\t\n\f\r" for letter in text[:64])
