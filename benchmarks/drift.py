"""Prompts that go on learning, and statistics that were stored before they did: what is lost, and what is won back.

A modality's tasks train its prompts one after the other. What earlier tasks stored are features under earlier prompts;
how well can all classes be told apart at the end? By regression on the stored features (one head for all):

- as stored: nothing follows;
- shifted: each feature moves by the mean shift of the new task's items near it (SSIAT: Tan et al., CVPR 2024);
- mapped: by what a regression of the shifts says (:mod:`remodal.adaptation.drift`), which is what ``comm`` does;
- taken again: the bound, from all items under the last prompts, which a method that stores no items can't have.

Prompts learn freely, or as in (i) of ``comm``: held back, or held back and merged. Beside these: prompts that only the
first task trained; the frozen model; and prompts trained on all items at once, by the cosine to the text anchors too.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import matplotlib
import torch
from arguments import Asked, Piece, asked
from matplotlib import pyplot
from recording import RESULTS, record
from regression import regressed, share
from side_by_side import side_by_side
from torch import Tensor

from remodal.adaptation.adapt import Adapted, Held, adapt, frozen, suited
from remodal.adaptation.alignment import aligned
from remodal.adaptation.drift import Drift
from remodal.adaptation.lesson import Lesson
from remodal.adaptation.merge import merge, merge_rate
from remodal.adaptation.rows import Rows
from remodal.backbones import Backbone, Tokens, Tower
from remodal.cache import cache_folder
from remodal.comparison.statistics import t_interval
from remodal.learning.opening import open_stream_for
from remodal.learning.prepare import BATCH, PreparedTask
from remodal.learning.settings import RunSettings
from remodal.methods.base import TaskData
from remodal.streams.base import Column
from remodal.training.trainer import Trainer

PROMPT_LENGTH, BATCH_FRAMES, HELD = 8, 64, 1.0
"""As ``comm`` has them."""
REGIMES = {"free": (False, False), "held": (True, False), "held and merged": (True, True)}
"""Whether a task is held back, and whether it is merged."""
STORED = ("as stored", "shifted", "mapped", "taken again")


@dataclass(frozen=True)
class Modality:
    """One modality's tasks and what they are learned with; labels count the classes of all tasks."""

    tower: Tower
    backbone: Backbone
    tasks: list[PreparedTask]
    seed: int

    @property
    def classes(self) -> list[str]:
        """Of all tasks, in their order."""
        return list(dict.fromkeys(name for task in self.tasks for name in task.train.classes))

    def labels(self, split: str) -> Tensor:
        """Of all tasks' items of a split."""
        at = {name: place for place, name in enumerate(self.classes)}
        each = [
            torch.tensor([at[name] for name in task.train.classes])[getattr(task, split).labels] for task in self.tasks
        ]
        return torch.cat(each).to(self.tower.encoder.engine.home)

    @torch.no_grad()
    def features(self, split: str, prompts: Tensor | None) -> list[Tensor]:
        """Of each task's items."""
        whole = [getattr(task, split).tokens for task in self.tasks]
        return [torch.cat([self.tower.features(some, prompts) for some in tokens.batches(BATCH)]) for tokens in whole]

    def accuracy(self, stored: Sequence[Tensor], prompts: Tensor | None) -> float:
        """Of the regression on ``stored`` features, on test items under ``prompts``."""
        scores = regressed(torch.cat(list(stored)), self.labels("train"), torch.cat(self.features("test", prompts)))
        return share(scores, self.labels("test"))

    def trained(self, task: TaskData, start: Adapted | None = None, held: Held | None = None) -> Adapted:
        """Prompts after a task."""
        trainer = Trainer(self.seed, task.index)
        start = start or frozen(self.tower, self.backbone.width, PROMPT_LENGTH, trainer)
        recipe = suited(self.tower, task.tokens, BATCH_FRAMES, None, None)
        anchors, scale = self.backbone.anchors(task.classes), self.backbone.logit_scale
        lesson = Lesson(self.tower, task.tokens, task.labels, anchors, scale)
        return adapt(lesson, start, recipe, trainer, held=held)


def figures(modality: Modality) -> Iterator[tuple[str, float]]:
    """(name, accuracy)."""
    yield "frozen", modality.accuracy(modality.features("train", None), None)
    whole = [task.train.tokens[torch.arange(len(task.train.tokens), device="cpu")] for task in modality.tasks]
    tokens = Tokens(whole[0].tower, torch.cat([one.frames for one in whole]), torch.cat([one.lengths for one in whole]))
    first = modality.tasks[0].train
    columns = tuple(Column(first.modality, name) for name in modality.classes)
    every = replace(first, columns=columns, tokens=tokens, labels=modality.labels("train"))
    joint = modality.trained(every)
    yield "joint", modality.accuracy(modality.features("train", joint.prompts), joint.prompts)
    embedded = aligned(modality.tower, joint.adapter, torch.cat(modality.features("test", joint.prompts)))
    anchors = modality.backbone.anchors(modality.classes)
    yield "joint, by cosine", share(embedded @ anchors.T, modality.labels("test"))
    once = modality.trained(first)
    yield "first task alone", modality.accuracy(modality.features("train", once.prompts), once.prompts)
    for name, (held, merged) in REGIMES.items():
        for stored, found in going_on(modality, once, held=held, merged=merged):
            yield f"{name}, {stored}", found


def going_on(modality: Modality, state: Adapted, *, held: bool, merged: bool) -> Iterator[tuple[str, float]]:
    """(what became of the stored features, accuracy) after all tasks, the first of which left ``state``."""
    tower, tasks = modality.tower, [task.train for task in modality.tasks]
    stored = {way: [modality.features("train", state.prompts)[0]] for way in WAYS}
    for place, task in enumerate(tasks[1:], start=1):
        learned = modality.trained(task, state, held_back(tower, task, state) if held else None)
        if merged:
            rate = merge_rate(len(task.classes), len({name for one in tasks[: place + 1] for name in one.classes}))
            learned = Adapted(merge(state.prompts, learned.prompts, rate), merge(state.adapter, learned.adapter, rate))
        before, after = (modality.features("train", prompts)[place] for prompts in (state.prompts, learned.prompts))
        for way, follow in WAYS.items():
            stored[way] = [*(follow(one, before, after) for one in stored[way]), after]
        state = learned
    for way, features in stored.items():
        yield way, modality.accuracy(features, state.prompts)
    yield "taken again", modality.accuracy(modality.features("train", state.prompts), state.prompts)


def held_back(tower: Tower, task: TaskData, state: Adapted) -> Held:
    """What holds a task near the embeddings that its items have before it."""

    def embed(tokens: Tokens) -> Tensor:
        return aligned(tower, state.adapter, tower.features(tokens, state.prompts))

    return Held(Rows(task.tokens, embed), HELD)


def shifted(stored: Tensor, before: Tensor, after: Tensor) -> Tensor:
    """Stored features, each moved by the mean shift of the items near it; a kernel as wide as half of them are near."""
    distance = torch.cdist(stored, before).square()
    scale = distance.sort(dim=1).values[:, (len(before) - 1) // 2, None].clamp(min=1e-12)
    return stored + (-distance / scale).softmax(1) @ (after - before)


WAYS: dict[str, Callable[[Tensor, Tensor, Tensor], Tensor]] = {
    "as stored": lambda stored, _before, _after: stored,
    "shifted": shifted,
    "mapped": lambda stored, before, after: Drift.measured(before, after).points(stored),
}
"""(stored features, the new task's before it and after it) -> stored features from then on."""


def opened(given: Asked, stream: str, seed: int) -> tuple[Backbone, dict[str, list[PreparedTask]]]:
    """The tasks of each modality but text."""
    settings = RunSettings(stream=stream, backbone=given.backbone, seed=seed)
    backbone, prepared = open_stream_for(settings, cache_folder(), engine=given.engine)
    by: dict[str, list[PreparedTask]] = defaultdict(list)
    for task in prepared.tasks:
        if task.train.modality != "text":
            by[task.train.modality].append(task)
    return backbone, by


def measured(piece: Piece) -> dict[str, float]:
    """Accuracy by name."""
    backbone, tasks = opened(piece.given, piece.stream, piece.seed)
    modality = Modality(backbone.tower(piece.modality), backbone, tasks[piece.modality], piece.seed)
    with piece.given.engine.home:
        return dict(figures(modality))


def drawn(figures: dict[str, dict[str, Any]], file: Path) -> None:
    """A panel a modality: bars by what became of the stored features, and lines for what doesn't drift."""
    matplotlib.use("Agg")
    shown = [name for name in figures if name != "each modality"]
    canvas, panels = pyplot.subplots(1, len(shown), figsize=(3.2 * len(shown), 3.6), sharey=True, layout="constrained")
    colours = dict(zip(STORED, ("#b0b0b0", "#e8a33d", "#2a6fbb", "#bcd4ee"), strict=True))
    lines = {"frozen": ("black", "dotted"), "first task alone": ("black", "dashed"), "joint": ("#2a7f4f", "solid")}
    for panel, name in zip(panels, shown, strict=True):
        for place, (regime, (at, stored)) in enumerate(
            (regime, pair) for regime in REGIMES for pair in enumerate(STORED)
        ):
            mean, half = figures[name][f"{regime}, {stored}"]
            where = place // len(STORED) + (at - 1.5) * 0.2
            label = stored if regime == "free" else None
            panel.bar(where, mean, 0.19, color=colours[stored], yerr=half, label=label, error_kw={"lw": 0.8})
        for line, (colour, style) in lines.items():
            panel.axhline(figures[name][line][0], color=colour, linestyle=style, linewidth=1, label=line)
        panel.set_title(name, fontsize=10)
        panel.set_xticks(range(len(REGIMES)), [regime.replace(" and ", "\nand ") for regime in REGIMES], fontsize=8)
        panel.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel("accuracy after the last task")
    handles, labels = panels[0].get_legend_handles_labels()
    canvas.legend(handles, labels, loc="outside lower center", ncols=len(labels), fontsize=8, frameon=False)
    canvas.savefig(file, dpi=110)
    pyplot.close(canvas)


def main() -> None:
    """Print a line for each modality and figure, record all and draw it."""
    given = asked(__doc__, any_backbone=True)
    pieces = [
        Piece(given, stream, seed, modality)
        for stream, seed in product(given.stream, given.seeds)
        for modality in opened(given, stream, seed)[1]
    ]
    found: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for piece, one in zip(pieces, side_by_side(measured, pieces, given.jobs, given.keep), strict=True):
        for what, accuracy in one.items():
            print(f"{piece.stream} {piece.seed} {piece.modality:6} {what:30} {accuracy:.3f}", flush=True)
            for group in (piece.modality, "each modality"):
                found[group][what].append(accuracy)
    intervals = {group: {what: interval(values) for what, values in by.items()} for group, by in sorted(found.items())}
    record("drift", intervals)
    drawn(intervals, RESULTS / "drift.png")


def interval(values: Sequence[float]) -> list[float]:
    """Mean, and half of its 95 % interval (0 of one value)."""
    one = t_interval(values)
    return [round(one.mean, 4), round(one.half or 0.0, 4)]


if __name__ == "__main__":
    main()
