"""Items as ordinary pictures: what an item is has to be told from its content alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from remodal.errors import installed_with
from remodal.modalities import get_modality
from remodal.modalities.audio import Audio
from remodal.modalities.base import squeezed
from remodal.streams.base import Item

SIDE = 224  # px, of a sound's picture
DEPTH_COLOURS, SOUND_COLOURS = "turbo", "viridis"  # of matplotlib: what such pictures mostly come in


Pixels = NDArray[np.uint8]
"""``[H, W, 3]``, RGB."""
Draw = Callable[[NDArray[Any]], Pixels]
"""Of what a modality decodes to."""


@dataclass(frozen=True)
class DisguisedItem(Item):
    """An item that is read as a picture: an 8-bit RGB PNG, drawn by ``draw`` from what the original holds."""

    original: Item
    draw: Draw

    @property
    def read_as(self) -> str:
        """A picture like any other."""
        return "image"

    @property
    def task(self) -> str:
        """The original's."""
        return self.original.task

    @property
    def file(self) -> Path | None:
        """The original's."""
        return self.original.file

    def read(self) -> bytes:
        """The picture, drawn from the original. Raises BadItem where that can't be read or decoded."""
        modality = get_modality(self.original.modality)
        medium = modality.decode(self.original.read(), where=self.id, unit=self.original.unit)
        assert not isinstance(medium, str)
        file = BytesIO()
        Image.fromarray(self.draw(medium)).save(file, "PNG", compress_level=1)
        return file.getvalue()


def disguised(item: Item) -> Item:
    """A depth map or a sound as a picture; any other item itself."""
    if item.modality not in COLOURED:
        return item
    return drawn(item, COLOURED[item.modality], item.modality)


def drawn(item: Item, draw: Draw, modality: str) -> Item:
    """An item as the picture that ``draw`` makes of it, of a class of ``modality``."""
    return DisguisedItem(item.id, modality, item.label, item.split, item.group, item.licence, item, draw)


def coloured_depth(metres: NDArray[np.float32]) -> Pixels:
    """The middle page ``[H, W, 3]`` between its own 1st and 99th percentile; no reading is black."""
    page = metres[len(metres) // 2]
    read = page > 0
    near, far = np.percentile(page[read], (1, 99)) if read.any() else (0.0, 1.0)
    picture = _coloured((far - page) / max(far - near, 1e-6), DEPTH_COLOURS)
    picture[~read] = 0
    return picture


def spectrogram(wave: NDArray[np.float32]) -> Pixels:
    """The log-mel pictures of the audio modality, one after the other in one square: ``[SIDE, SIDE, 3]``."""
    grey = np.concatenate(list(Audio().pictures(wave, SIDE)[..., :1]), axis=1)
    return _coloured(squeezed(grey[None], SIDE)[0, ..., 0] / 255, SOUND_COLOURS)


def _coloured(values: NDArray[np.floating], colours: str) -> Pixels:
    """Values from 0 to 1 ``[H, W]`` through one of matplotlib's colour maps ``[H, W, 3]``; the highest is the last."""
    with installed_with("experiments"):
        from matplotlib import colormaps

    rgb: Pixels = colormaps[colours](np.clip(values, 0, 1), bytes=True)[..., :3]
    return rgb


COLOURED: dict[str, Draw] = {"depth": coloured_depth, "audio": spectrogram}
