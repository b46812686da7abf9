"""Whether a model tells what is like nothing it has learned: how often it doubts new items of several kinds.

A model of ``everyday`` is asked held-out items of classes it knows (other than those it keeps to compare with), items
of classes that were left out (the last task of each modality), items of a modality that was left out, and, where a
folder of other data is given, those; none of them is used to set anything.
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

from recording import record

import remodal
from remodal.saved.held_out import PER_CLASS
from remodal.streams import Item, Task, stream
from remodal.streams.subsets import spread
from remodal.training.threads import bound_spinning


def learned(tasks: Iterable[Task]) -> remodal.Model:
    """A model of some tasks."""
    model = remodal.Model()
    for task in tasks:
        model.learn(task)
    return model


def doubted(model: remodal.Model, items: Sequence[Item]) -> dict[str, str]:
    """By modality: how many of how many items are said to be unlike anything learned."""
    counts: dict[str, list[bool]] = defaultdict(list)
    for item, answer in zip(items, model.answers([item.read() for item in items]), strict=True):
        counts[item.modality].append(answer.unfamiliar)
    return {modality: f"{sum(found)} of {len(found)}" for modality, found in counts.items()}


def not_kept(task: Task) -> list[Item]:
    """The held-out items of a task that a model does not keep."""
    found = []
    for name in task.classes:
        own = [at for at, item in enumerate(task.test) if item.label == name]
        kept = set(spread(own, PER_CLASS))
        found += [task.test[at] for at in own if at not in kept]
    return found


def main() -> int:
    """Print and record the counts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("others", nargs="*", type=Path, help="folders of other data")
    others = parser.parse_args().others
    bound_spinning()
    tasks = stream("everyday").tasks
    last = {task.modality: task for task in tasks}
    most = [task for task in tasks if task is not last[task.modality]]
    model = learned(most)
    found = {
        "new items of known classes": doubted(model, [item for task in most for item in not_kept(task)]),
        "classes that were left out": doubted(model, [item for task in last.values() for item in task.test]),
    }
    for modality in last:
        model = learned(task for task in tasks if task.modality != modality)
        left = doubted(model, [item for task in tasks if task.modality == modality for item in task.test])
        found.setdefault("a modality that was left out", {}).update(left)
    model = learned(tasks)
    for folder in others:
        items = [item for task in stream(folder).tasks for item in task.test]
        found[f"another dataset ({folder.name})"] = doubted(model, items)
    for name, counts in found.items():
        print(f"{name:32} " + ", ".join(f"{modality} {count}" for modality, count in counts.items()))
    record("familiarity", found)
    return 0


if __name__ == "__main__":
    sys.exit(main())
