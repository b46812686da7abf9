"""SUN RGB-D: rooms that four depth cameras saw, in 19 classes of scenes.

Paper: Song, Lichtenberg & Xiao, "SUN RGB-D: A RGB-D Scene Understanding Benchmark Suite", CVPR 2015.
Terms: none are stated; it takes in NYU Depth V2, Berkeley B3DO and SUN3D, each with its own.

::

    SUNRGBD/kv1/NYUdata/NYU0001/scene.txt                  SUNRGBD.zip
    SUNRGBD/kv1/NYUdata/NYU0001/depth_bfx/NYU0001.png
    SUNRGBDtoolbox/traintestSUNRGBD/allsplit.mat           SUNRGBDtoolbox.zip

The split names a scene by its folder on its authors' disks (``/n/fs/sun3d/data/SUNRGBD/...``). Of its 10,335 scenes
count those of the 19 classes that have more than 80; the others are left out, as in the paper. Taken are the maps whose
gaps are filled in (``depth_bfx``), with their turned bits as they are: the unit ``sunrgbd``
(:mod:`remodal.modalities.depth`).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from remodal.errors import RemodalError
from remodal.streams.base import Split
from remodal.streams.datasets.base import Dataset, Part, Row, datasets
from remodal.streams.datasets.source import Source

ORIGIN = "https://rgbd.cs.princeton.edu"
SPLIT = "SUNRGBDtoolbox/traintestSUNRGBD/allsplit.mat"
VARIABLES: dict[Split, str] = {"train": "alltrain", "test": "alltest"}
SCENES = frozenset(
    [
        "bathroom",
        "bedroom",
        "classroom",
        "computer_room",
        "conference_room",
        "corridor",
        "dining_area",
        "dining_room",
        "discussion_area",
        "furniture_store",
        "home_office",
        "kitchen",
        "lab",
        "lecture_theatre",
        "library",
        "living_room",
        "office",
        "rest_space",
        "study_space",
    ]
)


def list_rows(source: Source) -> Iterator[Row]:
    """A scene of the split is a folder, with its class in a file and one depth map."""
    stated = source.matlab(SPLIT)
    for split, variable in VARIABLES.items():
        if variable not in stated:
            raise RemodalError(f"{source.folder / SPLIT}: missing {variable}; valid: the file of {ORIGIN}")
        for path in source.each(_strings(stated[variable])):
            if (row := _row(source, _below(path), split)) is not None:
                yield row


def _strings(cells: NDArray[Any]) -> list[str]:
    """What a cell array of strings holds: an array of arrays of one string."""
    return ["".join(np.ravel(cell).astype(str)) for cell in np.ravel(cells)]


def _below(path: str) -> PurePosixPath:
    """A scene's folder from ``SUNRGBD`` on."""
    parts = PurePosixPath(path).parts
    return PurePosixPath(*parts[parts.index("SUNRGBD") :]) if "SUNRGBD" in parts else PurePosixPath(path)


def _row(source: Source, scene: PurePosixPath, split: Split) -> Row | None:
    if not source.has(f"{scene}/scene.txt"):
        source.missing.append(f"{scene}/scene.txt")
        return None
    label = source.text(f"{scene}/scene.txt").strip()
    if label not in SCENES:
        return None
    maps = sorted(name for name in source.names(f"{scene}/depth_bfx") if name.endswith(".png"))
    path = f"{scene}/depth_bfx/{maps[0] if maps else '*.png'}"
    return Row(path, label.replace("_", " "), split, _sequence(scene))


def _sequence(scene: PurePosixPath) -> str:
    """What was filmed in one go, where a folder's name tells.

    >>> _sequence(PurePosixPath("SUNRGBD/xtion/sun3ddata/hotel_umd/maryland_hotel3/0001-0002"))
    'SUNRGBD/xtion/sun3ddata/hotel_umd/maryland_hotel3'
    >>> _sequence(PurePosixPath("SUNRGBD/kv1/NYUdata/NYU0001"))
    ''
    """
    if "sun3ddata" in scene.parts:
        return scene.parent.as_posix()
    film, frame, _ = scene.as_posix().partition("_rgbf")  # kv2/kinect2data/000002_2014-05-26_..._rgbf000103-resize
    return film if frame else ""


datasets.add("sunrgbd")(
    Dataset(
        modality="depth",
        folders=("sunrgbd", "SUN-RGBD", "sun-rgbd", "SUN_RGBD", "sun_rgbd"),
        parts=(Part((SPLIT,), f"SUNRGBDtoolbox.zip of {ORIGIN}"), Part(("SUNRGBD",), f"SUNRGBD.zip of {ORIGIN}")),
        classes=len(SCENES),
        list_rows=list_rows,
        published={"train": 4_845, "test": 4_659},
        unit="sunrgbd",
    )
)
