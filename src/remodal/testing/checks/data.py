"""What a method looks at while it learns, and what it keeps of it."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from statistics import mean
from unittest import SkipTest

from remodal.testing.candidate import Candidate, apart, columns_of, held_out_scores, learn, same, scores_of
from remodal.testing.checks.check import check, expect, five_tasks
from remodal.testing.memory import held_bytes, saved_bytes
from remodal.testing.toy import toy_stream
from remodal.testing.watch import Watch, WatchedBackbone, WatchedTokens

NUMBER = 4
"""Bytes of a number. What grows by less a task, or an item, stores none of it: the rank of what is kept may waver."""


@check
def sees_its_task_alone(candidate: Candidate) -> None:
    """While it learns, a method reads no held-out item, no file and no name of a future class.

    An evaluation between two tasks shows it all of these, and must change nothing of what is learned.
    """
    stream, watch = five_tasks(), Watch()
    method = candidate.new(WatchedBackbone(watch))
    held_out = [WatchedTokens.of(task.test.tokens, watch) for task in stream.tasks]
    for task in stream.tasks:
        for tokens in held_out:
            scores_of(method, tokens, columns_of(stream))
        with watch.learning(task.train.classes):
            learn(method, [task])
    expect(not watch.offences, f"a look at {', '.join(watch.offences)} while learning", "the task's own data alone")
    undisturbed = candidate.learned(stream.tasks)
    difference = apart(held_out_scores(method, stream), held_out_scores(undisturbed, stream))
    what = f"scores {difference:.2g} apart with and without evaluations between the tasks"
    expect(difference == 0, what, "equal bits: evaluating teaches nothing")
    expect(same(method.state(), undisturbed.state()), "a state that evaluations changed", "equal bits")


@check
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
            expect(late - early < 35 * NUMBER, found, "no growth (or grows_with_tasks)")
    else:
        few, many = (_memory(candidate, again[:3], items) for items in (20, 40))
        for what, sizes in few.items():
            found = f"{what}: {sizes[-1]} bytes after 3 tasks of 40 items and {many[what][-1]} after 3 of 80"
            expect(many[what][-1] - sizes[-1] < 3 * 40 * NUMBER, found, "the same, however many items")
    new = [("image", (f"class {index:02}",)) for index in range(24)]
    for what, sizes in _memory(candidate, new, items=3).items():
        growth = [after - before for before, after in itertools.pairwise(sizes)]
        early, late = mean(growth[:12]), mean(growth[12:])
        found = f"{what}: growth of {early:.0f} bytes a new class up to task 12 and of {late:.0f} from there on"
        expect(late - early < NUMBER, found, "no more than at first")


def _memory(candidate: Candidate, tasks: Sequence[tuple[str, Sequence[str]]], items: int) -> dict[str, list[int]]:
    """Bytes after each task, in the saved state and in the object."""
    method = candidate.new()
    sizes: dict[str, list[int]] = {"saved state": [], "method object": []}
    for task in toy_stream(tasks, items=items).tasks:
        learn(method, [task])
        sizes["saved state"].append(saved_bytes(method.state()))
        sizes["method object"].append(held_bytes(method))
    return sizes
