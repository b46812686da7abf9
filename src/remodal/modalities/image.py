"""Images: photographs, drawings, icons."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow
from PIL.ExifTags import Base as Tag
from PIL.ImageFile import ImageFile

from remodal.modalities.base import MAX_PIXELS, Refused, Visual, centre_squares
from remodal.modalities.formats import open_picture

DRAFT = 1024  # px; a larger JPEG is decoded at 1/2, 1/4 or 1/8 of its size if both sides keep at least this
_TURNS: dict[object, Pillow.Transpose] = {
    2: Pillow.Transpose.FLIP_LEFT_RIGHT,
    3: Pillow.Transpose.ROTATE_180,
    4: Pillow.Transpose.FLIP_TOP_BOTTOM,
    5: Pillow.Transpose.TRANSPOSE,
    6: Pillow.Transpose.ROTATE_270,
    7: Pillow.Transpose.TRANSVERSE,
    8: Pillow.Transpose.ROTATE_90,
}
"""What makes a picture upright, by the orientation of its EXIF."""


class Image(Visual):
    """One picture: ``uint8 [H, W, 3]``, RGB, upright, on white where it is transparent."""

    name = "image"
    suffixes = frozenset(
        {".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".avif", ".heic", ".heif"}
    )
    valid = "PNG, JPEG, WebP, AVIF, BMP, GIF or TIFF"

    def decode(self, data: bytes, *, where: str, unit: str | None = None) -> NDArray[np.uint8]:
        """Read one picture (the first one of an animation)."""
        return self.checked(_read, data, where)

    def pixels(self, data: bytes, *, where: str) -> int:
        """Of the picture."""
        return self.checked(lambda data: math.prod(_opened(data).size), data, where)

    def pictures(self, medium: NDArray[Any], size: int) -> NDArray[np.uint8]:
        """The centre square of the picture: ``[1, size, size, 3]``."""
        return centre_squares(medium[None], size)


def _opened(data: bytes) -> ImageFile:
    picture = open_picture(data)
    width, height = picture.size
    if width * height > MAX_PIXELS:
        raise Refused(f"found {width} x {height} pixels; valid: at most {MAX_PIXELS:,} in all")
    return picture


def _read(data: bytes) -> NDArray[np.uint8]:
    picture = _opened(data)
    picture.draft(None, (DRAFT, DRAFT))
    picture.load()
    return np.array(_to_rgb(_upright(picture)))


def _upright(picture: Pillow.Image) -> Pillow.Image:
    # Pillow's own exif_transpose writes all tags anew, and fails where one of the others is odd.
    try:
        turn = _TURNS.get(picture.getexif().get(Tag.Orientation))
    except Exception:  # whatever parsing broken metadata raises: the picture is whole
        turn = None
    return picture if turn is None else picture.transpose(turn)


def _to_rgb(picture: Pillow.Image) -> Pillow.Image:
    if picture.mode in ("I", "F"):
        raise Refused("found pixels of 32 bits; valid: 8 or 16 bits a channel")
    if picture.mode.startswith("I;16"):
        return Pillow.fromarray((np.asarray(picture) >> 8).astype(np.uint8)).convert("RGB")
    if picture.has_transparency_data:
        white = Pillow.new("RGBA", picture.size, "white")
        return Pillow.alpha_composite(white, picture.convert("RGBA")).convert("RGB")
    return picture.convert("RGB")
