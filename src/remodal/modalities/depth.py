"""Depth maps and sequences of them, in metres."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import partial
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.ImageFile import ImageFile

from remodal.errors import UnknownName
from remodal.modalities.base import FRAMES, MAX_DEPTH_PAGES, MAX_PIXELS, Refused, Visual, sample
from remodal.modalities.formats import open_picture

DepthUnit = Literal["mm", "cm", "m", "sunrgbd"]
"""What one step of a depth value is; ``sunrgbd``: millimetres as SUN RGB-D stores them (:func:`_turned_back`)."""
METRES: dict[str, float] = {"mm": 1e-3, "cm": 1e-2, "m": 1.0, "sunrgbd": 1e-3}
SUN_RGBD_FARTHEST = 8_000  # millimetres: what is farther counts as so far, as in the data set's own toolbox
NEAREST, FARTHEST = 0.1, 20.0  # metres: the two ends of the absolute channel's logarithmic scale
VIEW = 0.93  # width of the view over its distance: that of a camera of 50 degrees
FULL = 65_535  # the largest number of 16 bits: many cameras write it where they measure nothing
DARKEST = 32  # the grey value of the farthest reading, apart from black, which is no reading


class Depth(Visual):
    """Distances in metres, ``float32 [T, H, W]``, of up to eight pages in order; 0 is no reading.

    Integers of 16 bits or more are millimetres unless the unit says otherwise. 8-bit and float values mean
    nothing without a unit, so they need one. Of the unit ``sunrgbd`` are files of SUN RGB-D as they are
    downloaded. 65535 in 16 bits is no reading either, where it stands alone: where
    no other reading is more than half of it.
    """

    name = "depth"
    suffixes = frozenset({".png", ".tif", ".tiff"})
    valid = "16-bit PNG or TIFF of one channel in millimetres, or a stated unit: mm, cm, m, sunrgbd"
    contrast = 2.0
    brightness = (4, 12, 26)

    def decode(self, data: bytes, *, where: str, unit: str | None = None) -> NDArray[np.float32]:
        """Read one map, or a TIFF sequence; of more than eight pages, eight spread evenly.

        Raises:
            UnknownName: ``unit`` isn't one of :data:`METRES`.
        """
        if unit is not None and unit not in METRES:
            raise UnknownName("unit", unit, METRES)
        return self.checked(partial(_read, unit=unit), data, where)

    def pixels(self, data: bytes, *, where: str) -> int:
        """Of the pages that are read."""
        return self.checked(_pixels, data, where)

    def pictures(self, medium: NDArray[Any], size: int) -> NDArray[np.uint8]:
        """One picture a page, the whole page squeezed to a square: ``[T, size, size, 3]``; near is bright.

        The first channel runs from the item's own 1st to its 99th percentile; the second one is how a surface
        turns to the left or right, flat in the middle; the third one runs from 0.1 m to 20 m (logarithmic), so that
        distance itself is kept.
        """
        metres = np.stack([_resize(page, size) for page in medium])
        valid = metres > 0
        readings = metres[valid]
        near, far = np.percentile(readings, (1, 99)) if readings.size else (NEAREST, FARTHEST)
        own = (far - metres) / max(far - near, 1e-6)
        absolute = np.log(FARTHEST / np.where(valid, metres, FARTHEST)) / np.log(FARTHEST / NEAREST)
        pictures = np.empty((*metres.shape, 3), np.uint8)
        for channel, values in enumerate((own, _turn(metres), absolute)):
            pictures[..., channel] = np.where(valid, DARKEST + (255 - DARKEST) * np.clip(values, 0, 1), 0)
        return pictures


def _turn(metres: NDArray[np.float32]) -> NDArray[np.float32]:
    """0 where a surface recedes to the left, 1 to the right, 0.5 where it is flat or ends: ``[T, size, size]``."""
    left, middle, right = metres[..., :-2], metres[..., 1:-1], metres[..., 2:]
    across = middle * (2 * VIEW / metres.shape[-1])  # metres between the two neighbours
    inside = np.minimum(np.minimum(left, right), middle) > 0
    slope = np.divide(right - left, across, out=np.zeros_like(middle), where=inside)
    turn = np.full_like(metres, 0.5)
    turn[..., 1:-1] += 0.5 * slope / np.sqrt(slope**2 + 4)
    return turn


def is_measured(data: bytes) -> bool:
    """Whether the header of a PNG or TIFF announces one channel of 16 bits or more: not a picture."""
    mode = open_picture(data).mode
    return mode in ("I", "F") or mode.startswith("I;16")


def _read(data: bytes, unit: str | None) -> NDArray[np.float32]:
    picture = open_picture(data)
    pages = []
    for _ in _turned(picture):
        width, height = picture.size
        if width * height > MAX_PIXELS:
            raise Refused(f"found {width} x {height} pixels; valid: at most {MAX_PIXELS:,} in all")
        if picture.mode not in ("L", "I", "F") and not picture.mode.startswith("I;16"):
            raise Refused(f"found colour or palette pixels ({picture.mode}); valid: one channel of depth")
        if unit is None and picture.mode in ("L", "F"):
            kind = "8-bit" if picture.mode == "L" else "float"
            raise Refused(f"found {kind} depth without a unit; valid units: mm, cm, m")
        if unit == "sunrgbd" and not picture.mode.startswith("I;16"):
            raise Refused(f"found {picture.mode} pixels of the unit sunrgbd; valid: one channel of 16 bits")
        page = np.asarray(picture)
        pages.append((_turned_back(page) if unit == "sunrgbd" else page).astype(np.float32))
    if len({page.shape for page in pages}) > 1:
        raise Refused("found pages of different sizes; valid: one size")
    values = np.stack(pages)
    if picture.mode.startswith("I;16") and unit != "sunrgbd":
        values = _without_full(values)
    if not np.isfinite(values).all():
        raise Refused("found NaN or infinite depth; valid: finite values, 0 for no reading")
    if values.min() < 0 or values.max() == 0:
        raise Refused(
            "found negative depth or no reading at all (65535 is none); valid: positive values, 0 for no reading"
        )
    return values * np.float32(METRES[unit or "mm"])


def _turned_back(page: NDArray[Any]) -> NDArray[np.uint16]:
    """Millimetres of what SUN RGB-D stores: 16 bits that are turned by three, as its toolbox reads them.

    Source: ``read3dPoints.m`` of SUNRGBDtoolbox (Song, Lichtenberg & Xiao, CVPR 2015).
    """
    stored = page.astype(np.uint16)
    millimetres: NDArray[np.uint16] = np.minimum((stored >> 3) | (stored << 13), SUN_RGBD_FARTHEST)
    return millimetres


def _without_full(values: NDArray[np.float32]) -> NDArray[np.float32]:
    full = values == FULL
    readings = values[~full]
    return np.where(full, 0, values) if full.any() and readings.max(initial=0) <= FULL // 2 else values


def _pixels(data: bytes) -> int:
    picture = open_picture(data)
    return sum(math.prod(picture.size) for _ in _turned(picture))


def _turned(picture: ImageFile) -> Iterator[None]:
    """Turn to each of the pages that are read."""
    count = _pages(picture)
    for index in sample(count).tolist() if count > FRAMES else range(count):
        picture.seek(index)
        yield


def _pages(picture: ImageFile) -> int:
    """The number of pages; unlike Pillow's own count it stops at the limit."""
    for count in range(MAX_DEPTH_PAGES + 1):
        try:
            picture.seek(count)
        except EOFError:
            return count
    raise Refused(f"found more than {MAX_DEPTH_PAGES:,} pages; valid: at most so many")


def _resize(page: NDArray[np.float32], size: int) -> NDArray[np.float32]:
    """Mean of the readings that fall into each cell ``[size, size]``; a cell mostly without any has none."""
    valid = (page > 0).astype(np.float32)
    share, total = (
        np.asarray(Image.fromarray(part).resize((size, size), Image.Resampling.BOX)) for part in (valid, page)
    )
    return np.where(share >= 0.5, total / np.maximum(share, 0.5), 0)
