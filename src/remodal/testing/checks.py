"""What must hold for every continual-learning method: nine checks, each a function of the method under test.

A check that fails raises AssertionError with one sentence: the method, the check, what was found, what is expected. One
that doesn't apply raises :class:`unittest.SkipTest` with the reason, which test runners show as a skipped test.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import wraps
from math import sqrt
from pathlib import Path
from statistics import mean
from tempfile import TemporaryDirectory
from unittest import SkipTest, mock

import torch
from torch import Tensor

from remodal.adaptation.routed import readable
from remodal.backbones import Tokens
from remodal.learning.checkpoint import FileJournal, read_state, write_state
from remodal.learning.evaluate import accuracy, best, score
from remodal.learning.prepare import PreparedStream, PreparedTask, TestData
from remodal.methods.base import Method
from remodal.streams.base import Column
from remodal.testing.candidate import (
    SEED,
    Candidate,
    apart,
    columns_of,
    copied,
    held_out_scores,
    learn,
    same,
    scores_of,
)
from remodal.testing.memory import held_bytes, saved_bytes
from remodal.testing.toy import toy_stream
from remodal.testing.watch import Watch, WatchedBackbone, WatchedTokens
from remodal.training.seeding import generator
from remodal.training.trainer import NoJournal, StageState, Trainer

Check = Callable[[Candidate], None]
CHECKS: dict[str, Check] = {}
"""All checks by name."""

CLOSE = 1e-4
"""How far scores of one item may lie apart, computed in different company; of large ones, relative to their size."""
NUMBER = 4
"""Bytes of a number. What grows by less a task, or an item, stores none of it: the rank of what is kept may waver."""


def check_method(method: type[Method], settings: Mapping[str, object] | None = None) -> None:
    """Run all checks on ``method``; AssertionError with one line for each that fails.

    settings: the method's own, by name; known ones (``epochs``, ``learning_rate``, ...) are made quick by default.
    """
    candidate, failures = Candidate.of(method, settings), []
    for check in CHECKS.values():
        try:
            check(candidate)
        except SkipTest:
            pass
        except AssertionError as failure:
            failures.append(str(failure))
    if failures:
        raise AssertionError("\n".join(failures))


def _check(function: Check) -> Check:
    """Add ``function`` to :data:`CHECKS`; its failures name the method and the check, and so do errors on the way."""
    name = function.__name__.replace("_", "-")

    @wraps(function)
    def check(candidate: Candidate) -> None:
        try:
            function(candidate)
        except SkipTest:
            raise
        except AssertionError as failure:
            raise AssertionError(f"{candidate.name} fails {name}: {failure}") from None
        except Exception as error:
            raise AssertionError(f"{candidate.name} fails {name}: found {error!r}; expected no error") from error

    CHECKS[name] = check
    return check


def _expect(holds: bool, found: str, expected: str) -> None:
    if not holds:
        raise AssertionError(f"found {found}; expected {expected}")


def _stream() -> PreparedStream:
    """Five tasks of three modalities, on which a frozen model is not much better than chance."""
    return toy_stream(items=8, alignment=1.0)


@_check
def learns(candidate: Candidate) -> None:
    """Scores are numbers where they have to be; what learns is right on its training items more often than chance.

    Right after a task, among the task's own classes: what is forgotten later doesn't count.
    """
    stream, method = _stream(), candidate.new()
    columns, before = columns_of(stream), copied(method.state())
    seen: set[Column] = set()
    right: list[bool] = []
    for task in stream.tasks:
        learn(method, [task])
        seen.update(task.columns)
        for other in stream.tasks:
            _well_formed(scores_of(method, other.test.tokens, columns), other.test.tokens, columns, seen, method)
        answers = scores_of(method, task.train.tokens, task.columns).argmax(1)
        right.extend((answers == task.train.labels).tolist())
    if not same(before, method.state()):
        least = 0.5 + 4 * sqrt(0.25 / len(right))
        found = sum(right) / len(right)
        _expect(found > least, f"{found:.2f} of the training items right", f"more than {least:.2f} (chance is 0.50)")


def _well_formed(scores: Tensor, tokens: Tokens, columns: Sequence[Column], seen: set[Column], method: Method) -> None:
    shape = (len(tokens), len(columns))
    _expect(tuple(scores.shape) == shape, f"scores of shape {tuple(scores.shape)}", f"{shape}")
    for index, (column, own) in enumerate(zip(columns, readable(tokens, columns, method.backbone))):
        found = scores[:, index]
        where = f"for {column.modality} {column.name!r} on tokens of {tokens.tower!r}"
        if column not in seen and found.isnan().all():
            continue
        if own:
            _expect(bool(found.isfinite().all()), f"{found[~found.isfinite()][:1].tolist()} {where}", "finite scores")
        else:
            finite = found[found != -torch.inf][:1].tolist()
            _expect(not finite, f"{finite} {where}", "-inf, because another tower reads it")


@_check
def answers_alone(candidate: Candidate) -> None:
    """An item's scores depend on the item, not on the batch that it comes in."""
    stream = _stream()
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
            _expect_close(found, whole[order], columns, f"items that came {label}")


def _expect_close(found: Tensor, expected: Tensor, columns: Sequence[Column], what: str) -> None:
    """The same scores but for rounding, and the same answers."""
    difference = apart(found, expected, relative=True)
    _expect(difference <= CLOSE, f"scores of {what} changed by {difference:.2g}", f"at most {CLOSE:g}")
    pairs = zip(best(found), best(expected))
    changed = sum(columns[one].name != columns[other].name for one, other in pairs)
    _expect(not changed, f"{changed} answers to {what} changed", "the same answers")


@_check
def saves_and_loads(candidate: Candidate) -> None:
    """Through a real file and back: the same scores, the same learning from there on; a state is a snapshot."""
    stream = _stream()
    method = candidate.learned(stream.tasks[:3])
    state = method.state()
    before = copied(state)
    with TemporaryDirectory() as folder:
        write_state(Path(folder) / "state.safetensors", state)
        restored = candidate.restored(read_state(Path(folder) / "state.safetensors"))
    strided = ", ".join(name for name, tensor in state.tensors.items() if not tensor.is_contiguous())
    hint = f" (not contiguous, as a file's tensors are: {strided})" if strided else ""
    for when, tasks in (("", ()), (" after learning on", stream.tasks[3:])):
        learn(method, tasks)
        learn(restored, tasks)
        difference = apart(held_out_scores(method, stream), held_out_scores(restored, stream))
        found = f"scores of the restored method{when} {difference:.2g} apart{hint}"
        _expect(difference == 0, found, "the saved one's bits")
    _expect(same(state, before), "a state that changed as the method learned on", "a snapshot")


@_check
def follows_its_seed(candidate: Candidate) -> None:
    """Two runs of one seed are equal, bit for bit."""
    stream = _stream()
    one, other = (held_out_scores(candidate.learned(stream.tasks), stream) for _ in range(2))
    difference = apart(one, other)
    _expect(difference == 0, f"scores of two runs of one seed {difference:.2g} apart", "equal bits")


class _Killed(BaseException):
    """The process ends here; nothing a method catches."""


class _KillingJournal(FileJournal):
    """A journal on disk that dies with its process after ``left`` entries."""

    def __init__(self, path: Path, task: int, left: int) -> None:
        super().__init__(path, task)
        self._left = left

    def save(self, stage: str, state: StageState) -> None:
        super().save(stage, state)
        self._left -= 1
        if self._left == 0:
            raise _Killed


class _CountingJournal(NoJournal):
    """Only counts its entries."""

    entries = 0

    def save(self, stage: str, state: StageState) -> None:
        self.entries += 1


@_check
@mock.patch("remodal.training.trainer.JOURNAL_SECONDS", -1.0)  # an entry a step
def resumes_in_mid_task(candidate: Candidate) -> None:
    """A task that is killed at any step and taken up again by a new process is learned to the same bits."""
    stream = _stream()
    *earlier, last = stream.tasks
    index = last.train.index
    method = candidate.learned(earlier)
    before, journal = copied(method.state()), _CountingJournal()
    method.learn(last.train, Trainer(SEED, index, journal))
    expected = held_out_scores(method, stream)
    for entries in sorted({1, journal.entries // 3, 2 * journal.entries // 3, journal.entries} - {0}):
        if entries <= journal.entries:
            resumed = candidate.restored(before)
            with TemporaryDirectory() as folder:
                path = Path(folder) / "journal.safetensors"
                try:
                    resumed.learn(last.train, Trainer(SEED, index, _KillingJournal(path, index, entries)))
                except _Killed:
                    resumed = candidate.restored(before)
                    resumed.learn(last.train, Trainer(SEED, index, FileJournal(path, index)))
            difference = apart(held_out_scores(resumed, stream), expected)
            found = f"scores {difference:.2g} apart after a kill at step {entries} of {journal.entries}"
            _expect(difference == 0, found, "the bits of a run that was not killed")


@_check
def sees_its_task_alone(candidate: Candidate) -> None:
    """While it learns, a method reads no held-out item, no file and no name of a future class.

    An evaluation between two tasks shows it all of these, and must change nothing of what is learned.
    """
    stream, watch = _stream(), Watch()
    method = candidate.new(WatchedBackbone(watch))
    held_out = [WatchedTokens.of(task.test.tokens, watch) for task in stream.tasks]
    for task in stream.tasks:
        for tokens in held_out:
            scores_of(method, tokens, columns_of(stream))
        with watch.learning(task.train.classes):
            learn(method, [task])
    _expect(not watch.offences, f"a look at {', '.join(watch.offences)} while learning", "the task's own data alone")
    undisturbed = candidate.learned(stream.tasks)
    difference = apart(held_out_scores(method, stream), held_out_scores(undisturbed, stream))
    what = f"scores {difference:.2g} apart with and without evaluations between the tasks"
    _expect(difference == 0, what, "equal bits: evaluating teaches nothing")
    _expect(same(method.state(), undisturbed.state()), "a state that evaluations changed", "equal bits")


@_check
def stores_no_items(candidate: Candidate) -> None:
    """Memory is flat over tasks of the same classes, and grows by the same for each new class.

    A method that says that it grows with tasks may: by the same for each task, however many items that has.
    """
    if candidate.method.keeps_items:
        raise SkipTest(f"{candidate.name} keeps items, and says so (keeps_items)")
    again = [("image", ("cat", "dog"))] * 50
    if not candidate.method.grows_with_tasks:
        for what, sizes in _memory(candidate, again, items=3).items():
            early, late = mean(sizes[5:15]), mean(sizes[40:])
            found = f"{what}: {early:.0f} bytes around task 10 and {late:.0f} around task 45, of the same classes"
            _expect(late - early < 35 * NUMBER, found, "no growth (or grows_with_tasks)")
    else:
        few, many = (_memory(candidate, again[:3], items) for items in (20, 40))
        for what, sizes in few.items():
            found = f"{what}: {sizes[-1]} bytes after 3 tasks of 40 items and {many[what][-1]} after 3 of 80"
            _expect(many[what][-1] - sizes[-1] < 3 * 40 * NUMBER, found, "the same, however many items")
    new = [("image", (f"class {index:02}",)) for index in range(24)]
    for what, sizes in _memory(candidate, new, items=3).items():
        growth = [after - before for before, after in itertools.pairwise(sizes)]
        early, late = mean(growth[:12]), mean(growth[12:])
        found = f"{what}: growth of {early:.0f} bytes a new class up to task 12 and of {late:.0f} from there on"
        _expect(late - early < NUMBER, found, "no more than at first")


def _memory(candidate: Candidate, tasks: Sequence[tuple[str, Sequence[str]]], items: int) -> dict[str, list[int]]:
    """Bytes after each task, in the saved state and in the object."""
    method = candidate.new()
    sizes: dict[str, list[int]] = {"saved state": [], "method object": []}
    for task in toy_stream(tasks, items=items).tasks:
        learn(method, [task])
        sizes["saved state"].append(saved_bytes(method.state()))
        sizes["method object"].append(held_bytes(method))
    return sizes


@_check
def finds_nothing_in_noise(candidate: Candidate) -> None:
    """Labels drawn at random can't be known: accuracy on held-out items is chance, within four standard errors."""
    stream = toy_stream((("image", ("cat", "dog", "oak", "elm")),), items=60, shuffled=True)
    found = accuracy(candidate.learned(stream.tasks), stream.tasks[0], columns_of(stream)).aware
    margin = 4 * sqrt(0.25 * 0.75 / len(stream.tasks[0].test.labels))
    if found is not None:
        _expect(abs(found - 0.25) <= margin, f"accuracy {found:.2f} on shuffled labels", f"0.25 +- {margin:.2f}")


@_check
def is_not_told_the_modality(candidate: Candidate) -> None:
    """An answer comes from an item's content: not from candidates' order, the task around it, or the number of frames.

    Each question goes to a method restored afresh, which can't have remembered the items.
    """
    stream = _stream()
    columns = columns_of(stream)
    learned = candidate.learned(stream.tasks)
    state, reads = learned.state(), learned.backbone.reads
    order = torch.randperm(len(columns), generator=generator(SEED, "candidates"))
    permuted = [columns[index] for index in order.tolist()]
    for task in stream.tasks:
        modality = task.train.modality
        plain = score(candidate.restored(state), task, columns)
        found = score(candidate.restored(state), task, permuted)
        _expect_close(found, plain[:, order], permuted, f"{modality} items, with candidates in another order")
        for other in reads:
            if reads[other] == reads[modality]:
                difference = apart(score(candidate.restored(state), _relabelled(task, other), columns), plain)
                what = f"scores of {modality} items changed by {difference:.2g} where their task says {other}"
                _expect(difference == 0, what, "equal bits")
        found = score(candidate.restored(state), _repeated(task, 3), columns)
        _expect_close(found, plain, columns, f"{modality} items, with each frame three times")


def _relabelled(task: PreparedTask, modality: str) -> PreparedTask:
    """The same held-out items in a task that states another modality, under names that say nothing."""
    unnamed = tuple(str(index) for index in range(len(task.test.items)))
    return PreparedTask(replace(task.train, modality=modality), TestData(unnamed, task.test.tokens, task.test.labels))


def _repeated(task: PreparedTask, times: int) -> PreparedTask:
    """The same held-out items with each frame ``times`` in a row."""
    tokens = task.test.tokens
    longer = Tokens(tokens.tower, tokens.frames.repeat_interleave(times, 0), tokens.lengths * times)
    return PreparedTask(task.train, TestData(task.test.items, longer, task.test.labels))
