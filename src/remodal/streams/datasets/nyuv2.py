"""NYU Depth V2: 1,449 views of rooms with a Kinect, in ten classes of scenes.

Paper: Silberman, Hoiem, Kohli & Fergus, "Indoor Segmentation and Support Inference from RGBD Images", ECCV 2012.
Terms: none are stated; research.

::

    nyu_depth_v2_labeled.mat     HDF5: depths [1449, 640, 480] in metres, sceneTypes, scenes
    splits.mat                   trainNdxs, testNdxs, counted from 1

The classes are the nine most frequent of its 27 kinds of scene, and ``others`` (as in Gupta et al.,
IJCV 2015, and in ImageBind). The maps are written beside the file as 16-bit PNGs in millimetres, gaps filled in:
``depth/0001.png`` and on. SUN RGB-D holds the same views in its part ``kv1``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from PIL import Image

from remodal.errors import RemodalError, in_one_line, installed_with
from remodal.files import forget_parts, replacing
from remodal.modalities.base import MAX_PIXELS
from remodal.streams.base import Split
from remodal.streams.datasets.base import Dataset, Part, Row, datasets
from remodal.streams.datasets.source import Source

ORIGIN = "https://cs.nyu.edu/~fergus/datasets/nyu_depth_v2.html"
MEDIA, SPLITS = "nyu_depth_v2_labeled.mat", "splits.mat"
VARIABLES: dict[Split, str] = {"train": "trainNdxs", "test": "testNdxs"}
SCENES = frozenset(
    ["bathroom", "bedroom", "bookstore", "classroom", "dining_room", "home_office", "kitchen", "living_room", "office"]
)
OTHERS = "others"


def list_rows(source: Source) -> Iterator[Row]:
    """A row for each view of the split. Its depth map is written, unless it is there already."""
    with installed_with("datasets"):
        import h5py
    splits = source.matlab(SPLITS)
    where = source.folder / MEDIA
    unreadable = f"{where}: can't be read"
    with in_one_line(unreadable):
        file = h5py.File(where)
    with file:
        with in_one_line(unreadable):
            depths = _maps(file, where)
            kinds, scenes = (_texts(file, name) for name in ("sceneTypes", "scenes"))
        forget_parts(source.folder / "depth")
        for split, number in source.each(_numbers(splits, len(depths), str(source.folder / SPLITS))):
            path = f"depth/{number:04}.png"
            if not (source.folder / path).exists():
                with in_one_line(unreadable):
                    picture = _picture(depths[number - 1])
                with replacing(source.folder / path) as part:
                    picture.save(part, format="PNG")
            kind = kinds[number - 1]
            yield Row(path, kind.replace("_", " ") if kind in SCENES else OTHERS, split, scenes[number - 1])


def _maps(file: Any, where: object) -> Any:
    """The depth maps, not read yet: ``[views, width, height]`` in metres."""
    depths = file["depths"]
    if depths.ndim != 3 or depths.shape[1] * depths.shape[2] > MAX_PIXELS:
        valid = f"one map a view, each of at most {MAX_PIXELS:,} pixels"
        raise RemodalError(f"{where}: found depths of shape {depths.shape}; valid: {valid}")
    return depths


def _texts(file: Any, name: str) -> list[str]:
    """A MATLAB cell array of strings: references to the numbers of their letters."""
    return ["".join(map(chr, file[reference][:].ravel())) for reference in file[name][:].ravel()]


def _numbers(splits: dict[str, Any], views: int, where: str) -> list[tuple[Split, int]]:
    """Split and number of each view, counted from 1."""
    if missing := [name for name in VARIABLES.values() if name not in splits]:
        raise RemodalError(f"{where}: missing {', '.join(missing)}; valid: the file of {ORIGIN}")
    numbers = [(split, int(one)) for split, name in VARIABLES.items() for one in np.ravel(splits[name])]
    if bad := [one for _, one in numbers if not 1 <= one <= views]:
        raise RemodalError(f"{where}: found view {bad[0]}; valid: 1 to {views:,}")
    return numbers


def _picture(metres: Any) -> Image.Image:
    """A map as it is stored, ``[width, height]`` in metres, as a picture in millimetres."""
    return Image.fromarray(np.rint(np.clip(metres.T, 0, 65.0) * 1000).astype(np.uint16))


datasets.add("nyuv2")(
    Dataset(
        modality="depth",
        folders=("nyuv2", "NYUv2", "nyu_depth_v2", "nyu"),
        parts=(Part((SPLITS,), ORIGIN), Part((MEDIA,), ORIGIN)),
        classes=len(SCENES) + 1,
        list_rows=list_rows,
        published={"train": 795, "test": 654},
        unit="mm",
    )
)
