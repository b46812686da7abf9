"""Does what other modalities learned help a modality that is seen for the first time? ``comm`` with and without (ii).

``comm`` learns every task of the other modalities; then the new modality's first task, from all of its training items
or from a few a class, with what is relevant in the others borrowed and without it. Both start from the same state, so
that nothing but the borrowing differs. Accuracy is on the task's test items, among its classes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from arguments import asked
from names import learned_without
from recording import record

from remodal.backbones import Backbone
from remodal.cache import cache_folder
from remodal.comparison.statistics import t_interval
from remodal.learning.evaluate import accuracy
from remodal.learning.prepare import PreparedStream
from remodal.learning.run import open_stream_for
from remodal.learning.settings import RunSettings
from remodal.methods.comm import Comm, CommSettings
from remodal.streams import StreamSettings
from remodal.training.threads import bound_spinning
from remodal.training.trainer import Trainer

ITEMS = (2, 5, None)
"""Training items a class of the new modality; None: all there are."""


def firsts(
    backbone: Backbone, whole: PreparedStream, few: dict[int | None, PreparedStream], modality: str, seed: int
) -> Iterator[tuple[int | None, bool, float]]:
    """Training items a class, whether it borrowed, and the accuracy on the modality's first task."""
    state = learned_without(backbone, whole, seed, modality).state()
    for items, prepared in few.items():
        place, first = next((i, task) for i, task in enumerate(prepared.tasks) if task.train.modality == modality)
        for borrows in (True, False):
            method = Comm(backbone, CommSettings(blend=borrows), seed)
            method.restore(state)
            method.learn(first.train, Trainer(seed, place))
            found = accuracy(method, first, first.columns).aware
            if found is not None:
                yield items, borrows, found


def opened(stream: str, seed: int, items: int | None) -> tuple[Backbone, PreparedStream]:
    """The stream with at most ``items`` training items a class."""
    options = StreamSettings(train_items=items)
    return open_stream_for(RunSettings(stream=stream, seed=seed, stream_options=options), cache_folder())


def figures_of(stream: str, seeds: Sequence[int]) -> dict[str, Any]:
    """By modality and number of items: accuracy with and without borrowing, and the paired difference."""
    found: dict[tuple[str, int | None], dict[bool, list[float]]] = defaultdict(lambda: defaultdict(list))
    for seed in seeds:
        few = {items: opened(stream, seed, items) for items in ITEMS}
        backbone, whole = few[None]
        prepared = {items: tasks for items, (_, tasks) in few.items()}
        for modality in sorted({task.train.modality for task in whole.tasks if task.train.modality != "text"}):
            for items, borrows, share in firsts(backbone, whole, prepared, modality, seed):
                found[modality, items][borrows].append(share)
    names = sorted({modality for modality, _ in found})
    figures = {}
    for items in ITEMS:
        rows = {name: found[name, items] for name in names}
        rows["all"] = {b: [fmean(each) for each in zip(*(rows[name][b] for name in names))] for b in (True, False)}
        for name, by in rows.items():
            gain = t_interval([one - other for one, other in zip(by[True], by[False])])
            figures[f"{name}, {items or 'all'} items a class"] = {
                "with": round(fmean(by[True]), 4),
                "without": round(fmean(by[False]), 4),
                "difference": round(gain.mean, 4),
                "half of its 95 % interval": None if gain.half is None else round(gain.half, 4),
            }
    return figures


def main() -> None:
    """Print a line for each modality and number of items, and record all."""
    given = asked(__doc__)
    bound_spinning()
    torch.set_num_threads(1)
    every = {}
    for stream in given.stream:
        every[Path(stream).name] = figures_of(stream, given.seeds)
        for name, one in every[Path(stream).name].items():
            print(f"{Path(stream).name}: {name:32} {'  '.join(f'{key} {value}' for key, value in one.items())}")
    record("first_sight", every)


if __name__ == "__main__":
    main()
