"""Does what other modalities learned help a modality that is seen for the first time? ``comm`` with and without (ii).

``comm`` learns every task of the other modalities; then the new modality's first task, from all of its training items
or from a few a class, with what is relevant in the others borrowed and without it. Both start from the same state, so
that nothing but the borrowing differs. Accuracy is on the task's test items, among its classes.

All of it twice: at the learning rate that validation items chose, and at a much faster one, where the prompts move the
features by far more. By how much they do is measured too.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

import torch
from arguments import asked
from names import learned_without
from recording import record

from remodal.backbones import Backbone, Tokens
from remodal.backbones.encoder import PromptTraining
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
RATES = (PromptTraining().rate, 0.1)


class First(NamedTuple):
    """A modality's first task. moved: how far the prompts moved the features, over the features' length."""

    rate: float
    items: int | None
    borrows: bool
    accuracy: float
    moved: float


def firsts(
    backbone: Backbone, whole: PreparedStream, few: dict[int | None, PreparedStream], modality: str, seed: int
) -> Iterator[First]:
    """One of each kind."""
    for rate in RATES:
        settings = CommSettings(learning_rate=rate)
        state = learned_without(backbone, whole, seed, modality, settings).state()
        for items, prepared in few.items():
            place, first = next((i, task) for i, task in enumerate(prepared.tasks) if task.train.modality == modality)
            for borrows in (True, False):
                method = Comm(backbone, settings.model_copy(update={"blend": borrows}), seed)
                method.restore(state)
                method.learn(first.train, Trainer(seed, place))
                found = accuracy(method, first, first.columns).aware
                if found is not None:
                    yield First(rate, items, borrows, found, moved(method, first.test.tokens, modality))


def moved(method: Comm, tokens: Tokens, modality: str) -> float:
    """Mean of ``|f(x; prompts) - f(x)| / |f(x)|``."""
    tower = method.backbone.tower(modality)
    frozen, prompted = tower.features(tokens), tower.features(tokens, method.experts()[modality].prompts)
    return float(((prompted - frozen).norm(dim=1) / frozen.norm(dim=1)).mean())


def opened(stream: str, seed: int, items: int | None) -> tuple[Backbone, PreparedStream]:
    """The stream with at most ``items`` training items a class."""
    options = StreamSettings(train_items=items)
    return open_stream_for(RunSettings(stream=stream, seed=seed, stream_options=options), cache_folder())


def figures_of(stream: str, seeds: Sequence[int]) -> dict[str, Any]:
    """By modality, number of items and learning rate: accuracy with and without borrowing, and their difference."""
    found: dict[tuple[float, int | None, str], dict[bool, list[First]]] = defaultdict(lambda: defaultdict(list))
    for seed in seeds:
        few = {items: opened(stream, seed, items) for items in ITEMS}
        backbone, whole = few[None]
        prepared = {items: tasks for items, (_, tasks) in few.items()}
        for modality in sorted({task.train.modality for task in whole.tasks if task.train.modality != "text"}):
            for first in firsts(backbone, whole, prepared, modality, seed):
                for name in (modality, "each modality"):
                    found[first.rate, first.items, name][first.borrows].append(first)
    return {
        f"{modality}, {items or 'all'} items a class, learning rate {rate}": compared(by[True], by[False])
        for (rate, items, modality), by in sorted(found.items(), key=lambda entry: RATES.index(entry[0][0]))
    }


def compared(borrowed: Sequence[First], alone: Sequence[First]) -> dict[str, float | None]:
    """Means over the seeds (of each modality: over modalities and seeds)."""
    gain = t_interval([one.accuracy - other.accuracy for one, other in zip(borrowed, alone)])
    return {
        "with": round(fmean(one.accuracy for one in borrowed), 4),
        "without": round(fmean(one.accuracy for one in alone), 4),
        "difference": round(gain.mean, 4),
        "half of its 95 % interval": None if gain.half is None else round(gain.half, 4),
        "features moved by": round(fmean(one.moved for one in borrowed), 4),
    }


def main() -> None:
    """Print a line for each learning rate, number of items and modality, and record all."""
    given = asked(__doc__)
    bound_spinning()
    torch.set_num_threads(1)
    every = {}
    for stream in given.stream:
        every[Path(stream).name] = figures_of(stream, given.seeds)
        for name, one in every[Path(stream).name].items():
            print(f"{Path(stream).name}: {name:52} {'  '.join(f'{key} {value}' for key, value in one.items())}")
    record("first_sight", every)


if __name__ == "__main__":
    main()
