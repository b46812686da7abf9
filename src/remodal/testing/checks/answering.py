"""What a method answers: sensible scores, of an item's content alone, and nothing where there is nothing to know."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import sqrt
from unittest import SkipTest

import torch
from torch import Tensor

from remodal.backbones import Tokens
from remodal.learning.evaluate import accuracy, score
from remodal.learning.prepare import PreparedTask, TestData
from remodal.methods.base import Method
from remodal.streams.base import Column
from remodal.testing.candidate import SEED, Candidate, apart, columns_of, copied, learn, same, scores_of
from remodal.testing.checks.check import CLOSE, check, expect, expect_close, expect_well_formed, five_tasks
from remodal.testing.toy import toy_stream
from remodal.training.seeding import generator


@check
def learns(candidate: Candidate) -> None:
    """Scores are numbers where they have to be; what learns is right on its training items more often than chance.

    Right after a task, among the task's own classes: what is forgotten later doesn't count.
    """
    stream, method = five_tasks(), candidate.new()
    columns, before = columns_of(stream), copied(method.state())
    seen: set[Column] = set()
    right: list[bool] = []
    for task in stream.tasks:
        learn(method, [task])
        seen.update(task.columns)
        for other in stream.tasks:
            scores = scores_of(method, other.test.tokens, columns)
            expect_well_formed(scores, other.test.tokens, columns, seen, method, "all")
        answers = scores_of(method, task.train.tokens, task.columns).argmax(1)
        right.extend((answers == task.train.labels).tolist())
    if not same(before, method.state()):
        least = 0.5 + 4 * sqrt(0.25 / len(right))
        found = sum(right) / len(right)
        expect(found > least, f"{found:.2f} of the training items right", f"more than {least:.2f} (chance is 0.50)")


@check
def learns_from_little(candidate: Candidate) -> None:
    """One item a class, a single class of a single item, items that are all alike or hold nothing: finite scores."""
    whole = five_tasks().tasks
    alone = (("image", ("cat",)), ("audio", ("bell",)), ("image", ("dog",)))
    for what, tasks in (
        ("one item a class", toy_stream(items=1).tasks),
        ("a single class of a single item", toy_stream(alone, items=1).tasks),
        ("items that are all alike", [_filled(task, lambda frames: 0 * frames + frames[:1]) for task in whole]),
        ("items that hold nothing", [_filled(task, torch.zeros_like) for task in whole]),
    ):
        method, seen = candidate.new(), list[Column]()
        for task in tasks:
            learn(method, [task])
            seen += task.columns
            scores = scores_of(method, task.test.tokens, seen)
            expect_well_formed(scores, task.test.tokens, seen, set(seen), method, f"all after {what}")


def _filled(task: PreparedTask, fill: Callable[[Tensor], Tensor]) -> PreparedTask:
    """The task with other frames of its training items."""
    tokens = task.train.tokens
    return replace(task, train=replace(task.train, tokens=replace(tokens, frames=fill(tokens.frames))))


@check
def learns_modalities_apart(candidate: Candidate) -> None:
    """Where a method says so, learning one modality leaves what is answered within the others as it was."""
    if not candidate.method.learns_modalities_apart:
        raise SkipTest(f"{candidate.name} learns_modalities_apart = False")
    method, known = candidate.new(), dict[str, PreparedTask]()
    for task in five_tasks().tasks:
        others = [one for name, one in known.items() if name != task.train.modality]
        before = [within(method, one) for one in others]
        learn(method, [task])
        for one, scores in zip(others, before, strict=True):
            what = f"{one.train.modality} items, by a task of {task.train.modality},"
            expect_close(within(method, one), scores, one.columns, what)
        known[task.train.modality] = task


def within(method: Method, task: PreparedTask) -> Tensor:
    """Log-probabilities of a task's held-out items among its own classes."""
    return scores_of(method, task.test.tokens, task.columns).log_softmax(1)


@check
def answers_alone(candidate: Candidate) -> None:
    """An item's scores, and how strange it looks, depend on the item, not on the batch that it comes in."""
    stream = five_tasks()
    columns, method = columns_of(stream), candidate.learned(stream.tasks)
    for tower in method.backbone.towers:
        tasks = [task for task in stream.tasks if task.test.tokens.tower == tower]
        tokens = Tokens.concat(task.test.tokens for task in tasks)
        names = [task.train.classes[label] for task in tasks for label in task.test.labels.tolist()]
        shuffled = torch.randperm(len(tokens), generator=generator(SEED, "company"))
        by_class = torch.tensor(sorted(range(len(tokens)), key=names.__getitem__))
        whole = scores_of(method, tokens, columns)
        for label, order, size in (
            ("one by one", torch.arange(len(tokens)), 1),
            ("shuffled, 7 at a time", shuffled, 7),
            ("shuffled, 32 at a time", shuffled, 32),
            ("shuffled, all at once", shuffled, len(tokens)),
            ("sorted by class, 7 at a time", by_class, 7),
        ):
            found = torch.cat([scores_of(method, batch, columns) for batch in tokens[order].batches(size)])
            expect_close(found, whole[order], columns, f"items that came {label}")
            for modality in {task.train.modality for task in tasks}:
                strange = strangeness_of(method, tokens, modality)
                if strange is None:
                    continue
                batches = [strangeness_of(method, batch, modality) for batch in tokens[order].batches(size)]
                together = torch.cat([batch for batch in batches if batch is not None])
                changed = apart(together, strange[order], relative=True)
                what = f"the strangeness of items that came {label} changed by {changed:.2g}"
                expect(changed <= CLOSE, what, f"at most {CLOSE:g}")


def strangeness_of(method: Method, tokens: Tokens, modality: str) -> Tensor | None:
    """How strange items look, as a model asks for it: without gradients."""
    with torch.inference_mode():
        return method.strangeness(tokens, modality)


@check
def finds_nothing_in_noise(candidate: Candidate) -> None:
    """Labels drawn at random can't be known: accuracy on held-out items is chance, within four standard errors."""
    stream = toy_stream((("image", ("cat", "dog", "oak", "elm")),), items=60, shuffled=True)
    found = accuracy(candidate.learned(stream.tasks), stream.tasks[0], columns_of(stream)).aware
    margin = 4 * sqrt(0.25 * 0.75 / len(stream.tasks[0].test.labels))
    if found is not None:
        expect(abs(found - 0.25) <= margin, f"accuracy {found:.2f} on shuffled labels", f"0.25 +- {margin:.2f}")


@check
def is_not_told_the_modality(candidate: Candidate) -> None:
    """An answer comes from an item's content: not from candidates' order, the task around it, or the number of frames.

    Each question goes to a method restored afresh, which can't have remembered the items.
    """
    stream = five_tasks()
    columns = columns_of(stream)
    learned = candidate.learned(stream.tasks)
    state, reads = learned.state(), learned.backbone.reads
    order = torch.randperm(len(columns), generator=generator(SEED, "candidates"))
    permuted = [columns[index] for index in order.tolist()]
    for task in stream.tasks:
        modality = task.train.modality
        plain = score(candidate.restored(state), task, columns)
        found = score(candidate.restored(state), task, permuted)
        expect_close(found, plain[:, order], permuted, f"{modality} items, with candidates in another order")
        for other in reads:
            if reads[other] == reads[modality]:
                difference = apart(score(candidate.restored(state), _relabelled(task, other), columns), plain)
                what = f"scores of {modality} items changed by {difference:.2g} where their task says {other}"
                expect(difference == 0, what, "equal bits")
        found = score(candidate.restored(state), _repeated(task, 3), columns)
        expect_close(found, plain, columns, f"{modality} items, with each frame three times")


def _relabelled(task: PreparedTask, modality: str) -> PreparedTask:
    """The same held-out items in a task that states another modality, under names that say nothing."""
    unnamed = tuple(str(index) for index in range(len(task.test.items)))
    columns = tuple(Column(modality, name) for name in task.train.classes)
    return PreparedTask(replace(task.train, columns=columns), TestData(unnamed, task.test.tokens, task.test.labels))


def _repeated(task: PreparedTask, times: int) -> PreparedTask:
    """The same held-out items with each frame ``times`` in a row."""
    tokens = task.test.tokens
    longer = Tokens(tokens.tower, tokens.frames.repeat_interleave(times, 0), tokens.lengths * times)
    return PreparedTask(task.train, TestData(task.test.items, longer, task.test.labels))
