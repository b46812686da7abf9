"""Which contrast suits the pictures of each modality? Answered on folds of the training items that share no source.

The head is that of ``stem_quality.py``, the contrast a factor around mid-grey. ``ImageNet's`` are the mean and the
deviation of each channel that many networks were trained with, but not this one: a contrast of 2.2 and a tint. ``in
use`` is a contrast with a brightness, where a modality has one. Test items are not touched.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from recording import record
from rich.console import Console
from rich.table import Table
from stem_quality import HEADS, Labelled, validate

from remodal import streams
from remodal.backbones import Backbone, Tokens, load_backbone
from remodal.backbones.lite.efficientnet import PICTURE_SIZE, normalised
from remodal.cache import cache_folder
from remodal.modalities import get_visual
from remodal.streams.base import Item

CONTRASTS = {"depth": (1.0, 1.5, 2.0, 3.0), "audio": (1.0, 1.5, 2.0, 3.0), "video": (1.0, 2.0), "image": (1.0, 2.0)}
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""ImageNet's, of red, green and blue from 0 to 1."""
CHUNK = 32  # items

Pictures = NDArray[np.uint8]
Normalise = Callable[[Pictures], NDArray[np.float32]]


def as_imagenet(pictures: Pictures) -> NDArray[np.float32]:
    """Pictures ``[n, size, size, 3]`` less ImageNet's mean, over its deviation."""
    return np.asarray((pictures / 255 - MEAN) / DEVIATION, np.float32)


def drawn(items: Sequence[Item]) -> list[Pictures]:
    """Pictures ``[frames, size, size, 3]`` of each item."""
    found = []
    for item in items:
        reader = get_visual(item.modality)
        medium = reader.decode(item.read(), where=item.id, unit=item.unit)
        found.append(reader.pictures(medium, PICTURE_SIZE))
    return found


def tokens(pictures: Sequence[Pictures], normalise: Normalise, backbone: Backbone) -> Tokens:
    """Frozen tokens of each item's pictures."""
    tower, found = backbone.towers["vision"], []
    for start in range(0, len(pictures), CHUNK):
        chunk = pictures[start : start + CHUNK]
        stemmed = tower.encoder.stem(normalise(np.concatenate(chunk)))
        found += np.split(stemmed, np.cumsum([len(item) for item in chunk])[:-1])
    return Tokens.stack(tower.name, found)


def measure(items: Sequence[Item], names: Sequence[str], backbone: Backbone) -> dict[str, dict[str, float]]:
    """Accuracy on folds by normalisation and head, each at its best strength."""
    ways: dict[str, Normalise] = {"ImageNet's": as_imagenet}
    ways |= {f"{contrast:g}": partial(normalised, contrast=contrast) for contrast in CONTRASTS[items[0].modality]}
    reader = get_visual(items[0].modality)
    if any(reader.brightness):
        ways["in use"] = partial(normalised, contrast=reader.contrast, brightness=reader.brightness)
    pictures, labels = drawn(items), torch.tensor([names.index(item.label) for item in items])
    tower, sources = backbone.towers["vision"], [item.group or item.id for item in items]
    found = {}
    for name, way in ways.items():
        train = Labelled(tower.features(tokens(pictures, way, backbone)), labels, sources)
        found[name] = {
            head: float(validate(kernel, train, len(names), repeats=1).max()) for head, kernel in HEADS.items()
        }
        print(items[0].modality, name, found[name], flush=True)
    return found


def main() -> None:
    """Print the table, record it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stream", default="everyday", help="name or folder")
    arguments = parser.parse_args()
    backbone, tasks = load_backbone("lite", cache_folder()), streams.stream(arguments.stream).tasks
    found = {}
    for modality in CONTRASTS:
        own = [task for task in tasks if task.modality == modality]
        names = [name for task in own for name in task.classes]
        with torch.inference_mode():
            found[modality] = measure([item for task in own for item in task.train], names, backbone)
    ways = next(iter(found.values()))  # depth, which has them all
    table = Table("modality", *ways)
    for modality, accuracies in found.items():
        table.add_row(modality, *(f"{max(accuracies[way].values()):.3f}" if way in accuracies else "" for way in ways))
    Console(width=120).print(table)
    record(f"contrast-{Path(arguments.stream).name}", {"backbone": backbone.fingerprint, "modalities": found})


if __name__ == "__main__":
    main()
