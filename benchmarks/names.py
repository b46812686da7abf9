"""Does an expert know a class by name that it learned from another modality, or one with a name merely near to it?

``comm`` learns every task but those of one modality, whose test items are then answered among that modality's classes:
by the frozen model alone, and through the expert of each other modality of the same tower (its adapter leads to the
same text space). Classes are told apart by what the expert has learned: their own name, a name near in text (cosine
above .45), or neither.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Any, TypeVar

import torch
from arguments import asked
from recording import record

from remodal.adaptation.alignment import aligned
from remodal.backbones import Backbone
from remodal.cache import cache_folder
from remodal.comparison.statistics import t_interval
from remodal.learning.opening import open_stream_for
from remodal.learning.prepare import PreparedStream
from remodal.learning.settings import RunSettings
from remodal.methods.base import Method
from remodal.methods.comm import Comm, CommSettings
from remodal.training.threads import bound_spinning
from remodal.training.trainer import Trainer

NEAR = 0.45
Shares = dict[tuple[str, str, str], dict[str, float]]
"""(modality, expert's modality, kind of name) -> accuracy by who answers."""


Learner = TypeVar("Learner", bound=Method)


def learned_without(method: Learner, prepared: PreparedStream, missing: str) -> Learner:
    """The method after every task but those of one modality."""
    for index, task in enumerate(prepared.tasks):
        if task.train.modality != missing:
            method.learn(task.train, Trainer(method.seed, index))
    return method


def shares(backbone: Backbone, prepared: PreparedStream, seed: int, missing: str) -> Shares:
    """Accuracy on the items of the modality that was left out, by expert and kind of name."""
    method = learned_without(Comm(backbone, CommSettings(), seed), prepared, missing)
    tower = backbone.tower(missing)
    tasks = [task for task in prepared.tasks if task.train.modality == missing]
    classes = [name for task in tasks for name in task.train.classes]
    anchors = backbone.anchors(classes)
    right: dict[tuple[str, str, str], dict[str, list[bool]]] = defaultdict(lambda: defaultdict(list))
    for lender, expert in method.experts().items():
        if backbone.reads[lender] != backbone.reads[missing]:
            continue
        learned = method.parts_[lender].statistics.classes
        nearness = anchors @ backbone.anchors(learned).T
        kinds = {
            name: "shared" if name in learned else "near" if float(nearest) > NEAR else "neither"
            for name, nearest in zip(classes, nearness.amax(1), strict=True)
        }
        for task in tasks:
            frozen = tower.features(task.test.tokens)
            led = tower.features(task.test.tokens, expert.prompts)
            answers = {
                "frozen": (aligned(tower, None, frozen) @ anchors.T).argmax(1),
                "expert": (aligned(tower, expert.adapter, led) @ anchors.T).argmax(1),
            }
            for item, label in enumerate(task.test.labels.tolist()):
                name = task.train.classes[label]
                for who, answer in answers.items():
                    right[missing, lender, kinds[name]][who].append(classes[int(answer[item])] == name)
    return {key: {who: fmean(found) for who, found in by.items()} for key, by in right.items()}


def figures_of(stream: str, seeds: Sequence[int]) -> dict[str, Any]:
    """By modality, expert and kind of name: accuracy of the frozen model and of the expert; printed too."""
    every: dict[tuple[str, str, str], dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for seed in seeds:
        backbone, prepared = open_stream_for(RunSettings(stream=stream, seed=seed), cache_folder())
        for missing in ("image", "depth", "video", "audio"):
            for key, found in shares(backbone, prepared, seed, missing).items():
                for who, share in found.items():
                    every[key][who].append(share)
    figures: dict[str, Any] = {}
    for (missing, lender, kind), by in sorted(every.items()):
        said = {who: t_interval(values) for who, values in by.items()}
        name = f"{missing} through {lender}, names {kind}"
        figures[name] = {
            who: {"mean": round(one.mean, 4), "half": None if one.half is None else round(one.half, 4)}
            for who, one in said.items()
        }
        print(f"{name:45} " + "  ".join(f"{who} {one.mean:.3f} ± {one.half or 0.0:.3f}" for who, one in said.items()))
    return figures


def main() -> None:
    """Print a line for each pair of modalities and kind of name, and record all."""
    given = asked(__doc__)
    bound_spinning()
    torch.set_num_threads(1)
    record("names", {Path(stream).name: figures_of(stream, given.seeds) for stream in given.stream})


if __name__ == "__main__":
    main()
