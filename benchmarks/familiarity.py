"""Whether a model tells what it hasn't learned: how often it doubts new items of several kinds.

A model of a stream is asked held-out items of classes it knows (other than those it keeps to compare with), and items
of classes that were left out, the last task of each modality that has several: with all training items, and with ten a
class. Then items of a modality that was left out, and of the other streams. None of them is used to set anything.
The picture has the share of new classes that are noticed by the share of known ones that are called so by mistake.
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import fmean

import matplotlib.pyplot as plt
from recording import RESULTS, record

import remodal
from remodal.answering import UNFAMILIAR
from remodal.saved.held_out import PER_CLASS
from remodal.streams import Item, Task, stream
from remodal.streams.subsets import spread
from remodal.training.threads import bound_spinning

FEW = 10
KNOWN, NEW = "new items of known classes", "classes that were left out"
Said = dict[str, list[float]]
"""By modality, the familiarity of each item."""


def learned(tasks: Iterable[Task]) -> remodal.Model:
    """A model of some tasks."""
    model = remodal.Model()
    for task in tasks:
        model.learn(task)
    return model


def asked(model: remodal.Model, items: Sequence[Item]) -> Said:
    """How familiar items are."""
    found: Said = defaultdict(list)
    for item, answer in zip(items, model.answers([item.read() for item in items]), strict=True):
        found[item.modality].append(1.0 if answer.familiarity is None else answer.familiarity)
    return found


def not_kept(task: Task) -> list[Item]:
    """The held-out items of a task that a model does not keep."""
    found = []
    for name in task.classes:
        own = [at for at, item in enumerate(task.test) if item.label == name]
        kept = set(spread(own, PER_CLASS))
        found += [task.test[at] for at in own if at not in kept]
    return found


def of_classes(tasks: Sequence[Task]) -> dict[str, Said]:
    """Of items of known classes, and of those of each modality's last task, which a model hasn't learned."""
    last = {task.modality: task for task in tasks if sum(other.modality == task.modality for other in tasks) > 1}
    most = [task for task in tasks if task is not last.get(task.modality)]
    model = learned(most)
    known = [item for task in most for item in not_kept(task)]
    return {KNOWN: asked(model, known), NEW: asked(model, [item for task in last.values() for item in task.test])}


def doubted(said: Said) -> dict[str, str]:
    """By modality, how many of how many items are called unlike anything learned."""
    return {name: f"{sum(one <= UNFAMILIAR for one in own)} of {len(own)}" for name, own in said.items()}


def curve(known: Said, new: Said) -> tuple[list[float], list[float]]:
    """Shares of known and of new classes' items that are doubted, the more the later; means over the modalities."""
    steps = sorted({one for said in (known, new) for own in said.values() for one in own})
    mistaken, noticed = (
        [0.0, *(fmean(fmean(one <= step for one in own) for own in said.values()) for step in steps)]
        for said in (known, new)
    )
    return mistaken, noticed


def draw(curves: dict[str, dict[str, tuple[list[float], list[float]]]], path: Path) -> None:
    """A panel for each stream, a line for each number of items."""
    figure, panels = plt.subplots(1, len(curves), figsize=(4 * len(curves), 3.6), sharey=True, squeeze=False)
    for panel, (name, lines) in zip(panels[0], curves.items(), strict=True):
        for label, (mistaken, noticed) in lines.items():
            panel.plot(mistaken, noticed, drawstyle="steps-post", label=label)
        panel.axvline(0.05, color="grey", linewidth=0.8)
        panel.set(title=name, xlabel="known classes called unfamiliar", xlim=(0, 0.3), ylim=(0, 1))
        panel.legend(frameon=False, loc="lower right")
    panels[0][0].set_ylabel("new classes noticed")
    figure.tight_layout()
    figure.savefig(path, dpi=120)


def main() -> int:
    """Print and record the counts, draw the curves."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stream", nargs="+", default=["everyday"], help="names or folders")
    streams = parser.parse_args().stream
    bound_spinning()
    found: dict[str, dict[str, dict[str, str]]] = {}
    curves: dict[str, dict[str, tuple[list[float], list[float]]]] = {}
    for name in streams:
        counts, lines = found.setdefault(Path(name).name, {}), curves.setdefault(Path(name).name, {})
        tasks = stream(name).tasks
        for label, own in ((f"{FEW} items a class", stream(name, train_items=FEW).tasks), ("all items", tasks)):
            said = of_classes(own)
            lines[label] = curve(said[KNOWN], said[NEW])
            counts.update({f"{kind}, {label}": doubted(one) for kind, one in said.items()})
        for modality in dict.fromkeys(task.modality for task in tasks):
            model = learned(task for task in tasks if task.modality != modality)
            left = doubted(asked(model, [item for task in tasks if task.modality == modality for item in task.test]))
            counts.setdefault("a modality that was left out", {}).update(left)
        model = learned(tasks)
        for other in streams:
            if other != name:
                items = [item for task in stream(other).tasks for item in task.test]
                counts[f"another dataset ({Path(other).name})"] = doubted(asked(model, items))
        for kind, by_modality in counts.items():
            print(f"{Path(name).name:10} {kind:44} " + ", ".join(f"{one} {of}" for one, of in by_modality.items()))
    record("familiarity", found)
    draw(curves, RESULTS / "familiarity.png")
    return 0


if __name__ == "__main__":
    sys.exit(main())
