"""A stream as plain arrays: what a contestant that isn't ``remodal`` is given.

Pictures are as the frozen network gets them (``uint8``, before its constants), and features are what it makes of them:
``published`` is the mean of its last layer, ``shared`` what ``remodal`` uses. Of features, numbers that are zero in all
items are left out, and rows are scaled to a mean square of one, so that the peers' usual rates suit them. Features of
towers that differ stand side by side, with zeros where an item has none of the other one's.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from peers.course import FILE
from peers.in_the_loop import copy_weights, trace

from remodal import streams
from remodal.backbones import Backbone, load_backbone
from remodal.features.store import FeatureStore
from remodal.files import write_json
from remodal.learning.prepare import PreparedStream, prepare
from remodal.modalities import get_modality
from remodal.streams.base import Item, Stream

KINDS = ("published", "shared")


class Chosen(NamedTuple):
    """Which tasks. modality: None for all. validation: measured on held-out training items, for choosing settings.

    pictures: with the pictures, and the frozen network, of images alone.
    """

    seed: int
    modality: str | None = "image"
    validation: bool = False
    backbone: str = "lite"
    stream: str = "everyday"
    pictures: bool = False

    @property
    def name(self) -> str:
        """Of the folder."""
        part = "choosing" if self.validation else "measuring"
        return f"{Path(self.stream).name}-{self.modality or 'all'}-{self.backbone}-{self.seed}-{part}"


def tasks_of(chosen: Chosen) -> Stream:
    """The tasks, in the order that the seed gives them."""
    whole = streams.stream(chosen.stream, order="random", seed=chosen.seed, validation=chosen.validation)
    tasks = tuple(task for task in whole if chosen.modality in (None, task.modality))
    return Stream(whole.name, whole.order, whole.seed, tasks, ())


def export(chosen: Chosen, into: Path, cache: Path) -> Path:
    """Write the course; its folder. cache: where frozen features are found, and kept."""
    folder = into / chosen.name
    folder.mkdir(parents=True, exist_ok=True)
    stream, backbone = tasks_of(chosen), load_backbone(chosen.backbone, cache)
    with FeatureStore(cache / "features") as store:
        prepared = prepare(stream, backbone, store)
        sizes = [(len(task.train.labels), len(task.test.labels)) for task in prepared.tasks]
        if prepared.quarantined or sizes != [(len(task.train), len(task.test)) for task in stream]:
            raise SystemExit(f"{stream.name}: an item can't be used: {prepared.quarantined[:1]}")
        used = {
            kind: _write(folder, kind, features(prepared, backbone.published() if kind == "published" else backbone))
            for kind in KINDS
        }
    names: list[str] = []
    classes: list[list[int]] = []
    for task in stream:
        classes.append(list(range(len(names), len(names) + len(task.classes))))
        names.extend(task.classes)
    for split, at in (("train", 0), ("test", 1)):
        np.save(folder / f"{split}-tasks.npy", np.repeat(np.arange(len(sizes)), [size[at] for size in sizes]))
    of_train = [task.train.labels.numpy() + own[0] for task, own in zip(prepared.tasks, classes)]
    of_test = [task.test.labels.numpy() + own[0] for task, own in zip(prepared.tasks, classes)]
    np.save(folder / "train-labels.npy", np.concatenate(of_train))
    np.save(folder / "test-labels.npy", np.concatenate(of_test))
    if chosen.pictures:
        for split in ("train", "test"):
            items = [item for task in stream for item in (task.train if split == "train" else task.test)]
            shown = pictures(items, backbone)
            np.save(folder / f"{split}-pictures.npy", shown)
        if chosen.backbone == "vit":
            copy_weights(cache, folder)
        else:
            for kind, kept in used.items():
                trace(backbone, kind, torch.from_numpy(kept), torch.from_numpy(shown[:2]), folder / f"{kind}.pt")
    write_json(folder / FILE, {"chosen": chosen._asdict(), "names": names, "classes": classes})
    return folder


def features(prepared: PreparedStream, backbone: Backbone) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Of all training and all test items, ``[n, width]``."""
    towers = list(dict.fromkeys(backbone.reads[task.train.modality] for task in prepared.tasks))
    starts = np.cumsum([0, *(backbone.towers[name].feature_width for name in towers)])
    found: list[NDArray[np.float32]] = []
    with torch.inference_mode():
        for tokens in [task.train.tokens for task in prepared.tasks], [task.test.tokens for task in prepared.tasks]:
            rows = []
            for own in tokens:
                at, tower = towers.index(own.tower), backbone.towers[own.tower]
                row = np.zeros((len(own), starts[-1]), np.float32)
                row[:, starts[at] : starts[at + 1]] = tower.features(own).cpu().numpy()
                rows.append(row)
            found.append(np.concatenate(rows))
    return found[0], found[1]


def _write(folder: Path, kind: str, both: Sequence[NDArray[np.float32]]) -> NDArray[np.bool_]:
    train, test = both
    used: NDArray[np.bool_] = np.logical_or(train.any(0), test.any(0))
    for split, rows in (("train", train[:, used]), ("test", test[:, used])):
        length = np.linalg.norm(rows, axis=1, keepdims=True)
        np.save(folder / f"{split}-{kind}.npy", rows / length * np.sqrt(np.float32(used.sum())))
    return used


def pictures(items: Sequence[Item], backbone: Backbone) -> NDArray[np.uint8]:
    """As the network gets them, before its constants, ``[n, size, size, 3]``."""
    found = []
    for item in items:
        medium = get_modality(item.modality).decode(item.read(), where=item.id, unit=item.unit)
        shown = backbone.tower(item.modality).encoder.prepare(item.modality, medium)
        side = round((shown.size / 3) ** 0.5)
        found.append(shown.reshape(1, side, side, 3))
    return np.concatenate(found)
