"""Images: photographs, drawings, icons."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow
from PIL import ImageOps
from PIL.ImageFile import ImageFile

from remodal.modalities.base import MAX_PIXELS, Refused, Visual, centre_squares
from remodal.modalities.formats import open_picture

DRAFT = 1024  # px; a larger JPEG is decoded at 1/2, 1/4 or 1/8 of its size if both sides keep at least this


class Image(Visual):
    """One picture: ``uint8 [H, W, 3]``, RGB, upright, on white where it is transparent."""

    name = "image"
    suffixes = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff"})
    valid = "PNG, JPEG, WebP, BMP, GIF or TIFF"

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
    ImageOps.exif_transpose(picture, in_place=True)
    return np.array(_to_rgb(picture))


def _to_rgb(picture: Pillow.Image) -> Pillow.Image:
    if picture.mode in ("I", "F"):
        raise Refused("found pixels of 32 bits; valid: 8 or 16 bits a channel")
    if picture.mode.startswith("I;16"):
        return Pillow.fromarray((np.asarray(picture) >> 8).astype(np.uint8)).convert("RGB")
    if picture.has_transparency_data:
        white = Pillow.new("RGBA", picture.size, "white")
        return Pillow.alpha_composite(white, picture.convert("RGBA")).convert("RGB")
    return picture.convert("RGB")
