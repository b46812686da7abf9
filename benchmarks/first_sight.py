"""Does what other modalities learned help a modality that is seen for the first time? ``comm`` with and without (ii).

``comm`` learns the other modalities, each in one task; then the new modality, all of its classes at once, from a few
items a class or from all. It borrows what is relevant in the others, or nothing, or (a control) the same prompts with
their layers in another order, which are as large and say nothing. All start from the same state, so that nothing but
what is borrowed differs. Accuracy is on the new modality's test items, among its classes:

- aligned: by the cosine to the text anchors, as the prompts were trained;
- realigned: after (iii), which is what ``comm`` answers;
- regression: by ridge regression on the prompted features, with the penalty that leaves each item out best; for scale,
  the same on frozen features.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

import torch
from arguments import Asked, Piece, asked
from names import learned_without
from recording import record
from regression import regressed, share
from side_by_side import side_by_side
from torch import Tensor

from remodal.adaptation.alignment import aligned
from remodal.adaptation.expert import Expert
from remodal.adaptation.statistics import ClassStatistics
from remodal.backbones import Backbone, Tower
from remodal.cache import cache_folder
from remodal.comparison.statistics import t_interval
from remodal.learning.evaluate import accuracy
from remodal.learning.opening import open_stream_for
from remodal.learning.prepare import BATCH, PreparedStream, PreparedTask
from remodal.learning.settings import RunSettings
from remodal.methods.base import State
from remodal.methods.comm import Comm, CommSettings
from remodal.streams import StreamSettings
from remodal.training.seeding import generator, shuffled
from remodal.training.trainer import Trainer

ITEMS = (2, 5, 10, None)
"""Training items a class of the new modality; None: all there are."""
WHOLE = 1000
"""Classes a task: all of a modality."""
STARTS = ("alone", "scrambled", "borrowed")


class First(NamedTuple):
    """A new modality's accuracies. moved: how far the prompts moved the features, over the features' length."""

    aligned: float
    realigned: float
    regression: float
    frozen: float
    moved: float


class Watched(Comm):
    """``comm``, which shows what (iii) begins with."""

    def _realigned(
        self, modality: str, expert: Expert, stored: ClassStatistics, tower: Tower, trainer: Trainer
    ) -> Expert:
        self.before: Expert = expert
        return super()._realigned(modality, expert, stored, tower, trainer)


def firsts(
    backbone: Backbone, whole: PreparedStream, few: dict[int | None, PreparedStream], modality: str, seed: int
) -> Iterator[tuple[int | None, str, First]]:
    """(items a class, start, what it came to)."""
    state = learned_without(Comm(backbone, CommSettings(), seed), whole, modality).state()
    for items, prepared in few.items():
        place, task = of_modality(prepared, modality)
        for start in STARTS:
            method = Watched(backbone, CommSettings(blend=start != "alone"), seed)
            method.restore(scrambled(state, seed) if start == "scrambled" else state)
            method.learn(task.train, Trainer(seed, place))
            answered = accuracy(method, task, task.columns).aware
            assert answered is not None
            with backbone.engine.home:
                yield items, start, measured(method, task, answered)


def measured(method: Watched, task: PreparedTask, answered: float) -> First:
    """What the method comes to on a task that it has just learned; answered: its own accuracy there."""
    tower = method.backbone.tower(task.train.modality)
    anchors, labels = method.backbone.anchors(task.train.classes), task.test.labels.to(tower.encoder.engine.home)
    features = {
        name: [torch.cat([tower.features(some, prompts) for some in tokens.batches(BATCH)]) for tokens in both]
        for both in [(task.train.tokens, task.test.tokens)]
        for name, prompts in (("prompted", method.before.prompts), ("frozen", None))
    }
    aligned_to = aligned(tower, method.before.adapter, features["prompted"][1]) @ anchors.T
    by = {
        name: share(regressed(learned, task.train.labels, asked_for), labels)
        for name, (learned, asked_for) in features.items()
    }
    prompted, frozen = (features[name][1] for name in ("prompted", "frozen"))
    moved = float(((prompted - frozen).norm(dim=1) / frozen.norm(dim=1)).mean())
    return First(share(aligned_to, labels), answered, by["prompted"], by["frozen"], moved)


def scrambled(state: State, seed: int) -> State:
    """The state with the layers of every modality's own prompts in another order, none in its place."""

    def moved_on(prompts: Tensor) -> Tensor:
        order = shuffled(len(prompts), generator(seed, "scrambled"))
        places = torch.empty_like(order)
        places[order] = order.roll(1)
        return prompts[places]

    tensors = {name: moved_on(one) if name.endswith("/own") else one for name, one in state.tensors.items()}
    return replace(state, tensors=tensors)


def opened(given: Asked, stream: str, seed: int, items: int | None) -> tuple[Backbone, PreparedStream]:
    """The stream, a task a modality, with at most ``items`` training items a class."""
    options = StreamSettings(train_items=items, classes_per_task=WHOLE)
    settings = RunSettings(
        stream=stream, backbone=given.backbone, order="sequential", seed=seed, stream_options=options
    )
    return open_stream_for(settings, cache_folder(), engine=given.engine)


def rows_of(piece: Piece) -> list[tuple[int | None, str, First]]:
    """As :func:`firsts` gives them."""
    backbone, whole, few = opened_few(piece)
    return list(firsts(backbone, whole, few, piece.modality, piece.seed))


def opened_few(piece: Piece) -> tuple[Backbone, PreparedStream, dict[int | None, PreparedStream]]:
    """The backbone, the stream with all items, and with few, by how many."""
    few = {items: opened(piece.given, piece.stream, piece.seed, items) for items in ITEMS}
    return *few[None], {items: tasks for items, (_, tasks) in few.items()}


def of_modality(prepared: PreparedStream, modality: str) -> tuple[int, PreparedTask]:
    """The task of a modality, and which one it is."""
    return next((i, task) for i, task in enumerate(prepared.tasks) if task.train.modality == modality)


def by_start(work: Callable[[Piece], Any], given: Asked, stream: str) -> dict[str, dict[str, list[Any]]]:
    """What ``work`` finds, by modality and number of items, and by start, over the seeds (and over the modalities).

    work: gives rows (items a class, start, what it came to) of a piece.
    """
    modalities = newcomers(opened(given, stream, given.seeds[0], None)[1])
    pieces = [Piece(given, stream, seed, modality) for seed in given.seeds for modality in modalities]
    found: dict[str, dict[str, list[Any]]] = defaultdict(lambda: defaultdict(list))
    for piece, rows in zip(pieces, side_by_side(work, pieces, given.jobs, given.keep), strict=True):
        for items, start, one in rows:
            for name in (piece.modality, "each modality"):
                found[f"{name}, {items or 'all'} items a class"][start].append(one)
    return found


def figures_of(given: Asked, stream: str) -> dict[str, Any]:
    """By modality and number of items: means by start, and what borrowing brings beside both others."""
    return {
        name: compared({start: [First(*one) for one in ones] for start, ones in by.items()})
        for name, by in by_start(rows_of, given, stream).items()
    }


def newcomers(whole: PreparedStream) -> list[str]:
    """The modalities that may be first seen beside images: all but these and text."""
    return sorted({task.train.modality for task in whole.tasks} - {"image", "text"})


def compared(by: dict[str, list[First]]) -> dict[str, Any]:
    """Means over the seeds (of each modality: over modalities and seeds), and differences with their intervals."""
    means = {
        start: {name: round(fmean(getattr(one, name) for one in ones), 4) for name in First._fields}
        for start, ones in by.items()
    }
    gains = {
        f"borrowed - {other}": {
            name: gain(*([getattr(one, name) for one in by[start]] for start in ("borrowed", other)))
            for name in First._fields[:3]
        }
        for other in ("alone", "scrambled")
    }
    return {**means, **gains}


def gain(ones: Sequence[float], others: Sequence[float]) -> list[float | None]:
    """Mean difference, and half of its 95 % interval."""
    found = t_interval([one - other for one, other in zip(ones, others, strict=True)])
    return [round(found.mean, 4), None if found.half is None else round(found.half, 4)]


def main() -> None:
    """Print a line for each modality and number of items, and record all."""
    given = asked(__doc__, any_backbone=True)
    every = {}
    for stream in given.stream:
        every[Path(stream).name] = figures_of(given, stream)
        for name, one in every[Path(stream).name].items():
            starts = "  ".join(f"{start} {one[start]['realigned']:.3f}" for start in STARTS)
            print(f"{Path(stream).name}: {name:40} {starts}  {one['borrowed - alone']['realigned']}")
    record("first_sight" if given.backbone == "lite" else f"first_sight-{given.backbone}", every)


if __name__ == "__main__":
    main()
