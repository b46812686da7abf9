"""Search between modalities: of a held-out item's class, is something among the 1, 5, 10 nearest of another modality?

``remodal`` learns a stream; held-out items are then placed in the text space as an index places them. Every item of
one modality whose class the other modality has too looks for items of the other modality, all of whose held-out items
may be found; and so do the names of classes, as words. Beside it, what the frozen model alone finds.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import permutations
from pathlib import Path
from typing import Any, NamedTuple

import torch
from arguments import asked
from recording import record
from torch import Tensor
from torch.nn import functional

from remodal.answering import answered
from remodal.backbones import Backbone
from remodal.cache import cache_folder
from remodal.comparison.statistics import t_interval
from remodal.familiarity import Familiarity
from remodal.learning.opening import open_stream_for
from remodal.learning.prepare import PreparedStream
from remodal.learning.settings import RunSettings
from remodal.methods import Method, methods
from remodal.saved import HeldOut
from remodal.training.threads import bound_spinning
from remodal.training.trainer import Trainer

RANKS = (1, 5, 10)
WORDS = "words"
Recall = dict[int, float]
"""By rank."""


class Places(NamedTuple):
    """Items of one kind. vectors: ``[n, d]``, of length one. labels: one an item."""

    vectors: Tensor
    labels: list[str]


def places(backbone: Backbone, method: Method, prepared: PreparedStream) -> dict[str, dict[str, Places]]:
    """Held-out items by modality, and the classes' names; as ``remodal`` places them, and as the frozen model does."""
    seen = [column for task in prepared.tasks for column in task.columns]
    found: dict[str, dict[str, list[tuple[Tensor, list[str]]]]] = {
        "remodal": defaultdict(list),
        "frozen": defaultdict(list),
    }
    for task in prepared.tasks:
        modality, tokens = task.train.modality, task.test.tokens
        labels = [task.train.classes[label] for label in task.test.labels.tolist()]
        answers = answered(method, tokens, seen, Familiarity(HeldOut(), method), labels, top=1)
        learned = torch.stack([torch.from_numpy(answer.place) for answer in answers if answer.place is not None])
        tower = backbone.tower(modality)
        frozen = functional.normalize(tower.align(tower.features(tokens)), dim=-1)
        found["remodal"][modality].append((learned, labels))
        found["frozen"][modality].append((frozen, labels))
    names = sorted({column.name for column in seen})
    joined = {}
    for who, by_modality in found.items():
        joined[who] = {
            modality: Places(torch.cat([part for part, _ in parts]), [one for _, labels in parts for one in labels])
            for modality, parts in by_modality.items()
        }
        joined[who][WORDS] = Places(backbone.anchors(names), names)
    return joined


def recall(asking: Places, stored: Places) -> Recall | None:
    """Share of those asking, of classes that are stored, that find their class by rank; None where there is none."""
    known = set(stored.labels)
    own = [at for at, label in enumerate(asking.labels) if label in known]
    if not own:
        return None
    order = (asking.vectors[own] @ stored.vectors.T).argsort(dim=1, descending=True)
    return {
        rank: sum(
            any(stored.labels[at] == asking.labels[who] for at in order[row, :rank].tolist())
            for row, who in enumerate(own)
        )
        / len(own)
        for rank in RANKS
    }


def figures_of(stream: str, seeds: Sequence[int]) -> dict[str, Any]:
    """By pair of modalities: recall at each rank, mean and half of the 95 % interval over seeds."""
    found: dict[str, dict[str, list[Recall]]] = defaultdict(lambda: defaultdict(list))
    for seed in seeds:
        backbone, prepared = open_stream_for(RunSettings(stream=stream, seed=seed), cache_folder())
        chosen = methods.get("remodal")
        method = chosen(backbone, chosen.options(), seed)
        for index, step in enumerate(prepared.steps):
            if step.train is not None:
                method.learn(step.train, Trainer(seed, index))
        for who, by_modality in places(backbone, method, prepared).items():
            for asking, stored in permutations(by_modality, 2):
                one = None if stored == WORDS else recall(by_modality[asking], by_modality[stored])
                if one is not None:
                    found[f"{asking} -> {stored}"][who].append(one)
    return {pair: summed(ones) for pair, ones in found.items()}


def summed(ones: Mapping[str, Sequence[Recall]]) -> dict[str, Any]:
    """Over seeds."""
    out: dict[str, Any] = {}
    for who, of_seeds in ones.items():
        for rank in RANKS:
            interval = t_interval([one[rank] for one in of_seeds])
            out[f"{who} @{rank}"] = round(interval.mean, 4)
            if interval.half is not None and who == "remodal":
                out[f"± @{rank}"] = round(interval.half, 4)
    return out


def main() -> None:
    """Print a line for each pair, and record all."""
    given = asked(__doc__)
    bound_spinning()
    torch.set_num_threads(1)
    every = {}
    for stream in given.stream:
        every[Path(stream).name] = figures_of(stream, given.seeds)
        for pair, one in every[Path(stream).name].items():
            at = "  ".join(f"@{rank} {one[f'remodal @{rank}']:.3f} ({one[f'frozen @{rank}']:.3f})" for rank in RANKS)
            print(f"{Path(stream).name}: {pair:18} {at}")
    record("recall", every)


if __name__ == "__main__":
    main()
