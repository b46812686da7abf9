"""Near copies: pictures that were scaled, compressed or brightened, and are the same picture still.

A picture is compared as a thumbnail of grey values. Of 254 photographs and drawings, each saved anew at JPEG's quality
40 and 75, at half its size, and 5 % brighter, at least nine in ten of each came within 8 grey values (root mean square)
of the original. The two most alike of different ones, a test item and a training item, lay 18 apart. A picture that was
cropped by 2 % isn't found.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from remodal.modalities.base import squeezed
from remodal.streams.base import Item

SIDE = 16
"""Pixels a side of a thumbnail."""
NEAR = 8.0
"""Grey values (of 255), root mean square: pictures that differ by less are near copies."""
BLANK = 8.0
"""Standard deviation of the grey values of a thumbnail on which too little is seen to compare it."""
CHUNK = 1024  # pictures

Thumbnail = NDArray[np.uint8]


def thumbnail(picture: NDArray[np.uint8]) -> Thumbnail:
    """Grey values ``[SIDE * SIDE]`` of a picture ``[H, W, 3]``, squeezed to a square."""
    grey: Thumbnail = squeezed(picture[None], SIDE)[0].mean(-1).round().astype(np.uint8).flatten()
    return grey


def near_copies(items: Sequence[Item], thumbnails: Mapping[str, Thumbnail]) -> list[tuple[str, str]]:
    """Test items that look like a training item: their ids, and the ids of the likest training items.

    thumbnails: by id; items that have none are left out, and so are pictures that are nearly blank.
    """
    seen = {name: one for name, one in thumbnails.items() if one.std() >= BLANK}
    tested, learned = (
        [item.id for item in items if item.split == split and item.id in seen] for split in ("test", "train")
    )
    if not tested or not learned:
        return []
    known, found = torch.from_numpy(np.stack([seen[name] for name in learned])).float(), []
    for start in range(0, len(tested), CHUNK):
        names = tested[start : start + CHUNK]
        asked = torch.from_numpy(np.stack([seen[name] for name in names])).float()
        distances, likest = (torch.cdist(asked, known) / SIDE).min(dim=1)
        found += [(names[at], learned[int(likest[at])]) for at in (distances < NEAR).nonzero()[:, 0].tolist()]
    return found
