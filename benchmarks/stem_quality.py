"""How good the frozen features are: a ridge head on them, modality given, all of its classes at once.

The table stands beside its floors; exit status 1 where one is missed. Everything that is chosen (ridge strength, plain
or random ReLU features) is chosen on folds of the training items that share no source; test items are scored once.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from recording import record
from rich.console import Console
from rich.table import Table
from torch import Tensor
from torch.nn import functional

from remodal import streams
from remodal.backbones import Backbone, Tokens, load_backbone
from remodal.cache import cache_folder
from remodal.features.extract import extract
from remodal.features.store import FeatureStore
from remodal.streams.base import Item
from remodal.training.seeding import generator

FLOORS = {
    "everyday": {"image": 0.86, "depth": 0.88, "audio": 0.95, "video": 0.84, "text": 0.81},
    "field": {"image": 0.98, "depth": 0.92, "audio": 0.89, "text": 0.98},
}
STRENGTHS = [10.0**power for power in torch.linspace(-4, 2, 13).tolist()]
"""Of the penalty, in units of the mean diagonal entry of the items' kernel."""
FOLDS = 5
REPEATS = 3

Kernel = Callable[[Tensor, Tensor], Tensor]
"""Centred features ``[n, width]`` and ``[m, width]`` -> inner products ``[n, m]`` of what the head makes of them."""


class Labelled(NamedTuple):
    """Items of one modality and split. features: ``[n, width]``; labels: ``[n]``; sources: one name an item."""

    features: Tensor
    labels: Tensor
    sources: list[str]


class Quality(NamedTuple):
    """What one modality of one stream reached."""

    classes: int
    train: int
    test: int
    head: str
    strength: float
    validation: float
    accuracy: float
    floor: float | None


def linear(a: Tensor, b: Tensor) -> Tensor:
    """Inner products: plain ridge regression."""
    return a @ b.T


def random_relu(a: Tensor, b: Tensor) -> Tensor:
    """Inner products of random ReLU features (RanPAC: McDonnell et al., NeurIPS 2023), in the limit of many.

    That limit is the arc-cosine kernel of degree 1 (Cho & Saul, NeurIPS 2009), so that nothing is left to chance.
    """
    norms = a.norm(dim=1)[:, None] * b.norm(dim=1)
    cosine = (a @ b.T / norms).clamp(-1, 1)
    angle = cosine.acos()
    products: Tensor = norms * (angle.sin() + (math.pi - angle) * cosine) / math.pi
    return products


HEADS: dict[str, Kernel] = {"plain": linear, "random ReLU": random_relu}


def ridge_scores(kernel: Kernel, train: Tensor, labels: Tensor, test: Tensor, classes: int) -> Tensor:
    """Scores ``[len(STRENGTHS), len(test), classes]`` of ridge regressions on one-hot targets, with a bias.

    In dual form, since there are fewer items than features: one eigenvalue decomposition serves all strengths.
    """
    centre = train.mean(0)
    train, test = (train - centre).double(), (test - centre).double()
    within = kernel(train, train)
    values, vectors = torch.linalg.eigh(within)
    targets = functional.one_hot(labels, classes).double()
    rotated = vectors.T @ (targets - targets.mean(0))
    across = kernel(test, train) @ vectors
    penalties = [strength * within.diagonal().mean() for strength in STRENGTHS]
    scores = [across @ (rotated / (values + penalty)[:, None]) for penalty in penalties]
    return torch.stack(scores) + targets.mean(0)


def folds(sources: Sequence[str], repeat: int) -> Iterator[Tensor]:
    """Masks ``[n]`` of about a fifth of the items each, whole sources in one."""
    names = sorted(set(sources))
    order = torch.randperm(len(names), generator=generator(repeat, "folds")).tolist()
    fold_of = {names[position]: rank * FOLDS // len(names) for rank, position in enumerate(order)}
    fold = torch.tensor([fold_of[source] for source in sources])
    yield from (fold == index for index in sorted(set(fold_of.values())))


def validate(kernel: Kernel, train: Labelled, classes: int, repeats: int = REPEATS) -> Tensor:
    """Accuracy ``[len(STRENGTHS)]`` on held-out training items, averaged over folds and repeats."""
    right, features = torch.zeros(len(STRENGTHS), dtype=torch.float64), narrowed(train.features)
    for repeat in range(repeats):
        for held in folds(train.sources, repeat):
            scores = ridge_scores(kernel, features[~held], train.labels[~held], features[held], classes)
            right += (scores.argmax(-1) == train.labels[held]).sum(1)
    return right / (repeats * len(features))


def narrowed(features: Tensor) -> Tensor:
    """Features ``[n, width]`` as ``[n, n]`` of the same inner products, which is all that a kernel sees."""
    features = features.double()
    values, vectors = torch.linalg.eigh(features @ features.T)
    coordinates: Tensor = vectors * values.clamp_min(0).sqrt()
    return coordinates


def quality(train: Labelled, test: Labelled, classes: int, floor: float | None) -> Quality:
    """Choose head and strength on training items, then score the test items."""
    found = {name: validate(kernel, train, classes) for name, kernel in HEADS.items()}
    head = max(found, key=lambda name: float(found[name].max()))
    best = int(found[head].argmax())
    scores = ridge_scores(HEADS[head], train.features, train.labels, test.features, classes)[best]
    accuracy = float((scores.argmax(-1) == test.labels).double().mean())
    validation = float(found[head][best])
    return Quality(classes, len(train.labels), len(test.labels), head, STRENGTHS[best], validation, accuracy, floor)


def labelled(items: Sequence[Item], names: Sequence[str], backbone: Backbone, store: FeatureStore) -> Labelled:
    """Features of the items of one modality."""
    tower = backbone.tower(items[0].modality)
    extracted = extract(items, backbone, store)
    stored = store.get(extracted.keys.values())
    if extracted.rejected:
        raise SystemExit(f"{len(extracted.rejected)} items can't be read; {': '.join(extracted.rejected[0])}")
    features = tower.features(Tokens.stack(tower.name, [stored[extracted.keys[item.id]] for item in items]))
    labels = torch.tensor([names.index(item.label) for item in items])
    return Labelled(features, labels, [item.group or item.id for item in items])


def measure(stream: str, backbone: Backbone, store: FeatureStore) -> dict[str, Quality]:
    """Quality by modality."""
    tasks = streams.stream(stream).tasks
    floors = FLOORS.get(Path(stream).name, {})
    found = {}
    for modality in sorted({task.modality for task in tasks}):
        own = [task for task in tasks if task.modality == modality]
        names = [name for task in own for name in task.classes]
        train = labelled([item for task in own for item in task.train], names, backbone, store)
        test = labelled([item for task in own for item in task.test], names, backbone, store)
        found[modality] = quality(train, test, len(names), floors.get(modality))
    return found


def missed(one: Quality) -> bool:
    """Whether the floor was missed."""
    return one.floor is not None and one.accuracy < one.floor


def main() -> int:
    """Print the table, record it; 1 where a floor is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stream", nargs="+", default=["everyday"], help="names or folders")
    arguments = parser.parse_args()
    backbone = load_backbone("lite", cache_folder())
    with torch.inference_mode(), FeatureStore(cache_folder() / "features") as store:
        found = {Path(stream).name: measure(stream, backbone, store) for stream in arguments.stream}
    table = Table(
        "stream", "modality", "classes", "train", "test", "head", "strength", "validation", "accuracy", "floor"
    )
    for stream, modalities in found.items():
        for modality, one in modalities.items():
            table.add_row(
                stream, modality, str(one.classes), str(one.train), str(one.test), one.head, f"{one.strength:.1g}",
                f"{one.validation:.3f}", f"[{'red' if missed(one) else 'green'}]{one.accuracy:.3f}",
                "-" if one.floor is None else f"{one.floor:.2f}",
            )  # fmt: skip
    Console(width=120).print(table)
    figures = {
        stream: {modality: one._asdict() for modality, one in modalities.items()}
        for stream, modalities in found.items()
    }
    record("stem_quality", {"backbone": backbone.fingerprint, "streams": figures})
    return int(any(missed(one) for modalities in found.values() for one in modalities.values()))


if __name__ == "__main__":
    sys.exit(main())
