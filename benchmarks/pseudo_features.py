"""Is one Gaussian right? The re-alignment of ``comm``, trained on pseudo-features of several kinds, and on real ones.

Of each modality all classes are taken at once, with the frozen model's features, so that nothing but the kind of
features differs: pseudo-features of one Gaussian a class with a shared covariance (what ``comm`` does) or with one of
its own, of two to four components a class (k-means, shared covariance), a few stored items a class, and all items. The
re-alignment is that of ``comm``, with its settings; accuracy is on the test items, the modality given.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from arguments import asked
from recording import record
from torch import Generator, Tensor

from remodal.adaptation.alignment import aligned
from remodal.adaptation.gaussians import ClassGaussians
from remodal.adaptation.realign import Anchors, Draw, realign
from remodal.adaptation.selectors import kmeans
from remodal.adaptation.statistics import leading, orthonormal, pseudo_features
from remodal.backbones import Backbone, Tokens
from remodal.cache import cache_folder
from remodal.comparison.statistics import t_interval
from remodal.learning.opening import open_stream_for
from remodal.learning.prepare import PreparedStream
from remodal.learning.settings import RunSettings
from remodal.methods.comm import CommSettings
from remodal.streams.base import Column
from remodal.training.seeding import generator
from remodal.training.threads import bound_spinning
from remodal.training.trainer import Trainer

SETTINGS = CommSettings()
BASIS = 512
"""Directions of the items that the alignment learns in, whatever it is trained on."""
OWN_RANK = 32
"""Directions of a covariance of a class's own."""


def components(features: Tensor, labels: Tensor, number: int, seed: int) -> Draw:
    """``number`` Gaussians a class, with one covariance for all; one is the class's own mean."""
    means, of, residuals = [], [], []
    for label in range(int(labels.max()) + 1):
        own = features[labels == label]
        centres = kmeans(own, number, generator(seed, "components", label))
        nearest = torch.cdist(own, centres).argmin(1)
        residuals.append(own - centres[nearest])
        means.append(centres)
        of += [label] * len(centres)
    scatter = torch.cat(residuals)
    factor = leading([scatter], SETTINGS.rank) / max(1, len(scatter) - len(of)) ** 0.5
    each = math.ceil(SETTINGS.realign_draws / len(of))

    def draw(draws: Generator) -> tuple[Tensor, Tensor]:
        drawn, which = pseudo_features(torch.cat(means), factor, each, draws)
        return drawn, torch.tensor(of)[which]

    return draw


def own_covariances(features: Tensor, labels: Tensor, seed: int) -> Draw:
    """One Gaussian a class, each with a covariance of its own."""
    columns = [Column("", str(label)) for label in range(int(labels.max()) + 1)]
    classes = ClassGaussians.empty(features.shape[1], OWN_RANK).with_items(features, labels, columns)
    each = math.ceil(SETTINGS.realign_draws / len(columns))
    return lambda draws: classes.draw(torch.arange(len(columns)), each, draws)


def stored(features: Tensor, labels: Tensor, most: int | None, seed: int) -> Draw:
    """Items themselves: ``most`` of each class, or all."""
    picked = generator(seed, "stored")
    kept = [(labels == label).nonzero()[:, 0] for label in range(int(labels.max()) + 1)]
    kept = [own[torch.randperm(len(own), generator=picked)[:most]] for own in kept]
    each = math.ceil(SETTINGS.realign_draws / len(kept))

    def draw(draws: Generator) -> tuple[Tensor, Tensor]:
        rows = torch.cat([own[torch.randint(len(own), (each,), generator=draws)] for own in kept])
        return features[rows], labels[rows]

    return draw


KINDS: dict[str, Callable[[Tensor, Tensor, int], Draw]] = {
    "one Gaussian, shared covariance (comm)": lambda features, labels, seed: components(features, labels, 1, seed),
    "one Gaussian, own covariance": own_covariances,
    "two components": lambda features, labels, seed: components(features, labels, 2, seed),
    "three components": lambda features, labels, seed: components(features, labels, 3, seed),
    "four components": lambda features, labels, seed: components(features, labels, 4, seed),
    "5 stored items": lambda features, labels, seed: stored(features, labels, 5, seed),
    "20 stored items": lambda features, labels, seed: stored(features, labels, 20, seed),
    "all items": lambda features, labels, seed: stored(features, labels, None, seed),
}


def accuracies(backbone: Backbone, prepared: PreparedStream, modality: str, seeds: list[int]) -> dict[str, list[float]]:
    """Accuracy by kind of features, one a seed."""
    tasks = [task for task in prepared.tasks if task.train.modality == modality]
    classes = [name for task in tasks for name in task.train.classes]
    tower = backbone.tower(modality)
    starts = [classes.index(task.train.classes[0]) for task in tasks]
    train = tower.features(Tokens.concat(task.train.tokens for task in tasks))
    labels = torch.cat([task.train.labels + start for task, start in zip(tasks, starts, strict=True)])
    test = tower.features(Tokens.concat(task.test.tokens for task in tasks))
    truth = torch.cat([task.test.labels + start for task, start in zip(tasks, starts, strict=True)])
    anchors = Anchors.of(backbone, classes, classes)
    basis = orthonormal(leading([train], BASIS))
    found: dict[str, list[float]] = {}
    for kind, make in KINDS.items():
        for seed in seeds:
            draw = make(train @ basis, labels, seed)
            steps, scale = SETTINGS.realign_steps, backbone.logit_scale
            adapter = realign(tower, basis, draw, anchors, scale, steps, Trainer(seed, 0))
            answers = (aligned(tower, adapter, test) @ anchors.own.T).argmax(1)
            found.setdefault(kind, []).append(float((answers == truth).float().mean()))
    return found


def main() -> None:
    """Print a line a kind and record all."""
    given = asked(__doc__)
    bound_spinning()
    figures: dict[str, Any] = {}
    for stream in given.stream:
        backbone, prepared = open_stream_for(RunSettings(stream=stream), cache_folder())
        modalities = sorted({task.train.modality for task in prepared.tasks})
        by_modality = {name: accuracies(backbone, prepared, name, given.seeds) for name in modalities}
        for kind in KINDS:
            macro = t_interval([fmean(values) for values in zip(*(by_modality[name][kind] for name in modalities))])
            each = {name: round(fmean(by_modality[name][kind]), 4) for name in modalities}
            figures.setdefault(Path(stream).name, {})[kind] = {
                "mean over modalities": round(macro.mean, 4), "half of the 95 % interval": round(macro.half or 0.0, 4),
                **each,
            }  # fmt: skip
            print(f"{Path(stream).name}: {kind:40} {macro.mean:.4f} ± {macro.half or 0.0:.4f}  {each}", flush=True)
    record("pseudo_features", figures)


if __name__ == "__main__":
    main()
