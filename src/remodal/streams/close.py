"""``everyday-close``: things of ``everyday`` as pictures that look alike, whatever their modality.

Every item is an ordinary picture, so that its modality has to be told from what it shows. Of each of three modalities
every other class, in alphabetical order, is given to ``image``:

- depth maps: seven kinds of things as shaded pictures (``image``), the other seven as grey pictures of how far away
  each point is (``depth``);
- clips: one frame, of six movements as ``image``, of the other six as ``video``;
- sounds: the spectrogram, of eight instruments as ``image``, of the other eight as ``audio``.

So a shaded picture can be told from a depth map by its style, a frame and a spectrogram only by what it shows.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from remodal.streams.base import Item
from remodal.streams.disguise import Draw, Pixels, drawn, spectrogram
from remodal.streams.embedded import HERE, list_embedded
from remodal.streams.listing import Listing

NAME = "everyday-close"
SOURCE = HERE / "everyday"
LIGHT = np.array([-0.4, 0.6, 0.7]) / np.linalg.norm([-0.4, 0.6, 0.7])  # from the left, above and before
AMBIENT = 0.25
SLOPE = 0.01  # of a pixel over its depth: half of a field of view of 50 degrees, over half of 96 pixels
NEAR_GREY, FAR_GREY = 40, 220


def list_close() -> Listing:
    """The items of the stream, drawn from those of ``everyday`` when they are read."""
    items: list[Item] = []
    listing = list_embedded(SOURCE)
    for modality, (as_image, as_itself) in DRAWN.items():
        own = [item for item in listing.items if item.modality == modality]
        given = set(sorted({item.label for item in own})[::2])
        items += [
            drawn(item, as_image, "image") if item.label in given else drawn(item, as_itself, modality) for item in own
        ]
    return Listing(tuple(items), ())


def shaded(metres: NDArray[np.float32]) -> Pixels:
    """A depth map's surface under a light from above, on white."""
    page = metres[0]
    down, right = np.gradient(page)
    across = np.where(page > 0, page, 1) * SLOPE
    normals = np.stack([right / across, -down / across, np.ones_like(page)], -1)
    normals /= np.linalg.norm(normals, axis=-1, keepdims=True)
    bright = AMBIENT + (1 - AMBIENT) * np.clip(normals @ LIGHT, 0, 1)
    return _grey(np.where(page > 0, 255 * bright, 255))


def grey_depth(metres: NDArray[np.float32]) -> Pixels:
    """How far away each point is, the nearest darkest, on white."""
    page = metres[0]
    read = page > 0
    near, far = (page[read].min(), page[read].max()) if read.any() else (0.0, 1.0)
    values = NEAR_GREY + (FAR_GREY - NEAR_GREY) * (page - near) / max(far - near, 1e-6)
    return _grey(np.where(read, values, 255))


def middle_frame(frames: NDArray[np.uint8]) -> Pixels:
    """One frame of a clip."""
    frame: Pixels = frames[len(frames) // 2]
    return frame


def _grey(values: NDArray[np.floating]) -> Pixels:
    return np.repeat(values.round().astype(np.uint8)[..., None], 3, axis=-1)


DRAWN: dict[str, tuple[Draw, Draw]] = {
    "depth": (shaded, grey_depth),
    "video": (middle_frame, middle_frame),
    "audio": (spectrogram, spectrogram),
}
"""How the classes that are given to ``image`` are drawn, and how the others are."""
