"""How many labels does `remodal suggest` save, beside labels for items that are drawn at random?

A stream's training items are a pool without labels, of all its modalities at once. A model that knows one item of each
class (``known``), or of each second class of a modality (``new``: the others are to be found), says in each round which
items are to be labelled, learns these as ``remodal update`` would, and is measured on the held-out items, the modality
not given. Rules: what is suggested; the same without doubt (``coverage``); the smallest difference between the two best
classes (``margin``); k-center on the frozen features, and weighted with doubt; ``random``.

The rule was chosen on training items of ``everyday`` alone (docs/suggest.md). The picture has accuracy by labels.
"""

from __future__ import annotations

import argparse
import json
import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib.pyplot as plt
import numpy as np
import torch
from recording import RESULTS, record
from torch import Tensor
from torch.nn import functional

from remodal.backbones import Backbone, Tokens
from remodal.cache import cache_folder
from remodal.choosing import Pool, chosen
from remodal.comparison.statistics import t_interval
from remodal.files import write_json
from remodal.learning.evaluate import best
from remodal.learning.opening import open_stream_for
from remodal.learning.prepare import BATCH, PreparedStream
from remodal.learning.settings import RunSettings
from remodal.methods import Method, methods
from remodal.methods.base import TaskData
from remodal.streams.base import Column
from remodal.training.threads import bound_spinning
from remodal.training.trainer import Trainer

TOLD = {"known": "one label a class at first", "new": "every second class unknown at first"}
SITUATIONS = tuple(TOLD)
BOLD = ("random", "suggest")
PLACES = 4
"""Digits that are recorded."""


class Piece(NamedTuple):
    """situation: one of ``SITUATIONS``."""

    situation: str
    seed: int


@dataclass(frozen=True)
class Unlabelled:
    """The training items of a stream. batches: of each task, the same objects each time. columns: of each item, its
    class. tower: of each item, the place of its tower in ``features``. row: of each item, its place there.
    """

    prepared: PreparedStream
    batches: list[list[Tokens]]
    columns: list[Column]
    tower: Tensor
    row: Tensor
    features: list[Tensor]

    @classmethod
    def of(cls, prepared: PreparedStream, backbone: Backbone) -> Unlabelled:
        """All of them, in the order of the tasks."""
        batches = [list(task.train.tokens.batches(BATCH)) for task in prepared.tasks]
        columns = [task.columns[label] for task in prepared.tasks for label in task.train.labels.tolist()]
        names = list(dict.fromkeys(own[0].tower for own in batches))
        features, rows = [], torch.zeros(len(columns), dtype=torch.int64)
        towers = torch.tensor([names.index(one.tower) for own in batches for one in own for _ in range(len(one))])
        for at, name in enumerate(names):
            own = [backbone.towers[name].features(one) for some in batches for one in some if one.tower == name]
            features.append(functional.normalize(torch.cat(own), dim=1))
            rows[towers == at] = torch.arange(len(features[-1]))
        return cls(prepared, batches, columns, towers, rows, features)

    def begun(self, situation: str, seed: int) -> list[int]:
        """Items whose labels are known at the beginning, one of each class that is."""
        draws = np.random.default_rng([seed, len(situation)])
        found = []
        for task in self.prepared.tasks:
            every = list(task.columns)
            known = every if situation == "known" else [every[at] for at in draws.permutation(len(every))[::2]]
            found += [int(draws.choice([at for at, one in enumerate(self.columns) if one == name])) for name in known]
        return found

    def scores(self, method: Method, known: Sequence[Column]) -> Tensor:
        """Of all items, ``[n, classes]``."""
        with torch.inference_mode():
            return torch.cat([method.scores(one, known) for own in self.batches for one in own])

    def lessons(self, items: Sequence[int]) -> Iterator[TaskData]:
        """What a method learns of some items: those of a modality at one go, of whichever tasks they are."""
        starts = np.cumsum([0, *(len(task.train.labels) for task in self.prepared.tasks)])
        parts: dict[str, list[tuple[Tokens, list[Column]]]] = defaultdict(list)
        for task, start, end in zip(self.prepared.tasks, starts, starts[1:], strict=False):
            if own := [at for at in items if start <= at < end]:
                tokens = task.train.tokens[torch.tensor(own) - int(start)]
                parts[task.train.modality].append((tokens, [self.columns[at] for at in own]))
        for own_parts in parts.values():
            named = [column for _, some in own_parts for column in some]
            columns = tuple(dict.fromkeys(named))
            labels = torch.tensor([columns.index(column) for column in named])
            yield TaskData(0, columns, Tokens.concat([tokens for tokens, _ in own_parts]), labels)


@dataclass(frozen=True)
class Round:
    """What a rule is told. open: places of the items without a label. asked: gives the classes' scores of all items."""

    every: Unlabelled
    asked: Callable[[], Tensor]
    open: Tensor
    labelled: Tensor
    count: int
    draws: np.random.Generator

    @cached_property
    def probabilities(self) -> Tensor:
        """``[n, classes]``, where a rule wants to know them."""
        return self.asked().nan_to_num(nan=-torch.inf).double().softmax(1).float()

    @property
    def doubt(self) -> Tensor:
        """``[n]``"""
        return 1 - self.probabilities.amax(1)

    def covering(self, doubt: Tensor) -> list[int]:
        """What covers most of a doubt."""
        open_, known = (
            [own[self.every.tower[own] == at] for at in range(len(self.every.features))]
            for own in (self.open, self.labelled)
        )
        pools = [
            Pool(features[self.every.row[own]], doubt[own], features[self.every.row[labelled]])
            for features, own, labelled in zip(self.every.features, open_, known, strict=True)
        ]
        return [int(open_[one.pool][one.item]) for one in chosen(pools, self.count)]

    def farthest(self, weight: Tensor) -> list[int]:
        """k-center, greedily: the item that is farthest from what is labelled or chosen, times its weight."""
        nearest = torch.full((len(self.every.columns),), 2.0)
        found: list[int] = []
        for at in self.labelled.tolist():
            self._nearer(nearest, at)
        closed = torch.ones(len(nearest), dtype=torch.bool)
        closed[self.open] = False
        while len(found) < self.count:
            best = int((nearest * weight).masked_fill(closed, -torch.inf).argmax())
            found.append(best)
            closed[best] = True
            self._nearer(nearest, best)
        return found

    def _nearer(self, nearest: Tensor, to: int) -> None:
        """``nearest`` with the distance to one more item."""
        same = self.every.tower == self.every.tower[to]
        features = self.every.features[int(self.every.tower[to])]
        distance = (2 - 2 * features @ features[self.every.row[to]]).clamp(min=0).sqrt()
        nearest[same] = nearest[same].minimum(distance[self.every.row[same]])


def _margin(now: Round) -> list[int]:
    best = now.probabilities.topk(min(2, now.probabilities.shape[1])).values
    between = best[:, 0] - best[:, -1]
    return now.open[between[now.open].argsort(stable=True)[: now.count]].tolist()


RULES: dict[str, Callable[[Round], list[int]]] = {
    "random": lambda now: now.draws.permutation(now.open.numpy())[: now.count].tolist(),
    "suggest": lambda now: now.covering(now.doubt),
    "margin": _margin,
    "k-center": lambda now: now.farthest(torch.ones(len(now.every.columns))),
    "k-center, doubt": lambda now: now.farthest(now.doubt),
    "coverage": lambda now: now.covering(torch.ones(len(now.every.columns))),
}


def curve(every: Unlabelled, method: Method, piece: Piece, rule: str, rounds: int, count: int) -> list[float]:
    """After each round, the share of the held-out items that are named rightly. method: has learned nothing."""
    known: list[Column] = []
    labelled: list[int] = []
    new, found, lessons = every.begun(piece.situation, piece.seed), list[float](), 0
    for step in range(rounds + 1):
        if step:
            open_ = torch.ones(len(every.columns), dtype=torch.bool)
            open_[labelled] = False
            draws = np.random.default_rng([piece.seed, step])
            new = RULES[rule](
                Round(
                    every,
                    partial(every.scores, method, known),
                    open_.nonzero()[:, 0],
                    torch.tensor(labelled),
                    count,
                    draws,
                )
            )
        for data in every.lessons(new):
            method.learn(replace(data, index=lessons), Trainer(piece.seed, lessons))
            lessons += 1
        labelled += new
        known = list(dict.fromkeys([*known, *(every.columns[at] for at in new)]))
        found.append(named_rightly(method, every.prepared, known))
    return found


def named_rightly(method: Method, prepared: PreparedStream, known: Sequence[Column]) -> float:
    """Share of the held-out items, among all known classes of all modalities; a class that isn't known is never so."""
    right = items = 0
    for task in prepared.tasks:
        with torch.inference_mode():
            scores = torch.cat([method.scores(batch, known) for batch in task.test.batches])
        names = [known[at].name for at in best(scores)]
        truth = [task.train.classes[at] for at in task.test.labels.tolist()]
        right += sum(name == own for name, own in zip(names, truth, strict=True))
        items += len(truth)
    return right / items


def kept(file: Path | None, measure: Callable[[], list[float]]) -> list[float]:
    """A curve: from a file, where it is there; what was measured is kept there."""
    if file is not None and file.exists():
        found: list[float] = json.loads(file.read_text(encoding="utf-8"))["curve"]
        return found
    measured = measure()
    if file is not None:
        write_json(file, {"curve": measured})
    return measured


def reached(curve_: Sequence[float], wanted: float, labels: Sequence[int]) -> float:
    """With how many labels a curve comes to an accuracy first, between two rounds in a straight line; inf if never."""
    for at, accuracy in enumerate(curve_):
        if accuracy >= wanted:
            if not at:
                return float(labels[0])
            share = (wanted - curve_[at - 1]) / (accuracy - curve_[at - 1])
            return labels[at - 1] + share * (labels[at] - labels[at - 1])
    return math.inf


def summary(curves: Mapping[str, Sequence[Sequence[float]]], labels: Sequence[int]) -> dict[str, Any]:
    """By rule: means and halves of intervals over the seeds, round by round; and the labels that it needs for what
    random choice has reached with all of its labels, and with half of them, as a share of these.
    """
    found: dict[str, Any] = {"labels": list(labels)}
    mean = {rule: [t_interval(one) for one in zip(*own, strict=True)] for rule, own in curves.items()}
    for rule, intervals in mean.items():
        told = {
            "accuracy": [round(one.mean, PLACES) for one in intervals],
            "±": [None if one.half is None else round(one.half, PLACES) for one in intervals],
        }
        for at in (len(labels) - 1, len(labels) // 2):
            with_ = reached([one.mean for one in intervals], mean["random"][at].mean, labels)
            told[f"labels for what random reaches with {labels[at]}"] = None if math.isinf(with_) else round(with_, 1)
        found[rule] = told
    return found


def draw(stream: str, situations: Mapping[str, Mapping[str, Any]], path: Path) -> None:
    """A panel a situation, a line a rule."""
    figure, panels = plt.subplots(1, len(situations), figsize=(11, 4), sharey=True, squeeze=False)
    for panel, (situation, found) in zip(panels[0], situations.items(), strict=True):
        for rule in (one for one in RULES if one in found):
            mean, half = (np.array(found[rule][key], float) for key in ("accuracy", "±"))
            line = panel.plot(found["labels"], mean, label=rule, linewidth=2 if rule in BOLD else 1)[0]
            if rule in BOLD:
                panel.fill_between(found["labels"], mean - half, mean + half, color=line.get_color(), alpha=0.2)
        panel.set(title=f"{stream}, {TOLD[situation]}", xlabel="labels")
        panel.legend(frameon=False, loc="lower right")
    panels[0][0].set_ylabel("held-out items named rightly")
    figure.tight_layout()
    figure.savefig(path, dpi=120)


def main() -> None:
    """Print and record the curves of a stream, and draw them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stream", default="everyday", help="a name or a folder")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--rules", nargs="+", choices=RULES, default=list(RULES))
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--labels", type=int, default=40, help="in a round")
    parser.add_argument("--keep", type=Path, help="a folder: curves stay there, and aren't measured again")
    given = parser.parse_args()
    bound_spinning()
    torch.set_num_threads(1)
    backbone, prepared = open_stream_for(RunSettings(stream=given.stream), cache_folder())
    every, name = Unlabelled.of(prepared, backbone), Path(given.stream).name
    kind = methods.get("remodal")
    method = kind(backbone, kind.options(), 0)  # one for all, so that what it computes of the pool is remembered
    begun = method.state()
    found = {}
    for situation in SITUATIONS:
        curves: dict[str, list[list[float]]] = defaultdict(list)
        for seed in given.seeds:
            for rule in given.rules:
                method.restore(begun)
                measure = partial(curve, every, method, Piece(situation, seed), rule, given.rounds, given.labels)
                file = f"{name}-{situation}-{seed}-{rule}-{given.rounds}-{given.labels}.json"
                curves[rule].append(kept(given.keep and given.keep / file, measure))
                print(situation, seed, rule, *(f"{one:.3f}" for one in curves[rule][-1]), flush=True)
        first = len(every.begun(situation, given.seeds[0]))
        found[situation] = summary(curves, [first + at * given.labels for at in range(given.rounds + 1)])
        for rule in given.rules:
            told = "; ".join(f"{key}: {value}" for key, value in found[situation][rule].items() if "labels" in key)
            print(f"{name}, {situation}: {rule:16} {found[situation][rule]['accuracy'][-1]:.3f}; {told}", flush=True)
    record(f"suggest-{name}", found)
    draw(name, found, RESULTS / f"suggest-{name}.png")


if __name__ == "__main__":
    main()
