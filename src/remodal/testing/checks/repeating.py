"""The same again, bit for bit: from a file, from a seed, after a kill, after learning that was broken off."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack, suppress
from functools import wraps
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest import mock

from remodal.backbones import Tower
from remodal.learning.checkpoint import FileJournal, read_state, write_state
from remodal.testing.candidate import SEED, Candidate, apart, copied, held_out_scores, learn, same
from remodal.testing.checks.check import check, expect, five_tasks
from remodal.training.trainer import NoJournal, Recipe, StageState, Trainer


@check
def saves_and_loads(candidate: Candidate) -> None:
    """Through a real file and back: the same scores, the same learning from there on; a state is a snapshot."""
    stream = five_tasks()
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
        expect(difference == 0, found, "the saved one's bits")
    expect(same(state, before), "a state that changed as the method learned on", "a snapshot")


@check
def follows_its_seed(candidate: Candidate) -> None:
    """Two runs of one seed are equal, bit for bit."""
    stream = five_tasks()
    one, other = (held_out_scores(candidate.learned(stream.tasks), stream) for _ in range(2))
    difference = apart(one, other)
    expect(difference == 0, f"scores of two runs of one seed {difference:.2g} apart", "equal bits")


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


@check
@mock.patch("remodal.training.trainer.JOURNAL_SECONDS", -1.0)  # an entry a step
def resumes_in_mid_task(candidate: Candidate) -> None:
    """A task that is killed at any step and taken up again by a new process is learned to the same bits."""
    stream = five_tasks()
    *earlier, last = stream.tasks
    index = last.train.index
    method = candidate.learned(earlier)
    before, journal = copied(method.state()), _CountingJournal()
    method.learn(last.train, Trainer(SEED, index, journal))
    expected = held_out_scores(method, stream)
    for entries in _spread(journal.entries):
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
        expect(difference == 0, found, "the bits of a run that was not killed")


def _spread(count: int) -> list[int]:
    """Up to four of 1 to ``count``: the first, the last, and two between."""
    return sorted({1, count // 3, 2 * count // 3, count} - {0}) if count else []


class _BrokenOff(BaseException):
    """A user's Ctrl-C, or a machine without memory."""


class _Breaking:
    """Within it, the step or look at items with the number ``at`` is not made; 0: all are. ``made`` counts them."""

    def __init__(self, at: int = 0) -> None:
        self.at, self.made, self._replaced = at, 0, ExitStack()

    def __enter__(self) -> _Breaking:
        for owner, name in ((Tower, "features"), (Tower, "identity"), (Recipe, "move")):
            self._replaced.enter_context(mock.patch.object(owner, name, self._counted(getattr(owner, name))))
        return self

    def __exit__(self, *_: object) -> None:
        self._replaced.close()

    def _counted(self, call: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(call)
        def counted(*given: Any, **named: Any) -> Any:
            self.made += 1
            if self.made == self.at:
                raise _BrokenOff
            return call(*given, **named)

        return counted


@check
def learns_a_task_whole_or_not_at_all(candidate: Candidate) -> None:
    """Learning that is broken off leaves the method as it was: the same state, the same learning from there on."""
    stream = five_tasks()
    *earlier, last = stream.tasks
    method = candidate.learned(earlier)
    before = copied(method.state())
    with _Breaking() as whole:
        learn(method, [last])
    expected = held_out_scores(method, stream)
    for at in _spread(whole.made):
        broken = candidate.restored(before)
        with suppress(_BrokenOff), _Breaking(at):
            learn(broken, [last])
        where = f"after learning was broken off at {at} of {whole.made} steps and looks at items"
        expect(same(broken.state(), before), f"another state {where}", "the one before")
        learn(broken, [last])
        difference = apart(held_out_scores(broken, stream), expected)
        expect(difference == 0, f"scores {difference:.2g} apart {where} and begun again", "equal bits")
