"""Does a stream that goes on for years stay cheap? 10,000 classes in 1,000 tasks, a million items.

``remodal`` learns. Tokens are drawn in the shapes of ``lite`` and stored, task after task (``large.py``). Seconds are
the processor's, of all threads together. Beside the learning, a bare loop multiplies lifted features of the last task
into one Gram matrix: the least that a regression on these features has to do. At the end, 256 items are scored over all
classes; the first answer has the weights solved.

Held to: learning at least half as fast as the bare loop, 4 GB of memory at most, and from a tenth of the tasks on
seconds a task and bytes a class that don't grow. Exit status 1 where one is missed. It takes about an hour on one core.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any

import matplotlib as mpl
import torch
from large import MODALITY, SCORED, BareLoop, Drawn, drawn_tasks
from matplotlib.figure import Figure
from recording import RESULTS, record
from rich.console import Console
from rich.table import Table

from remodal.cache import cache_folder
from remodal.cli.console import progress_console
from remodal.cli.progress import shown_on
from remodal.learning.execution import learn
from remodal.learning.results import peak_memory_bytes
from remodal.methods import methods
from remodal.streams.base import Column
from remodal.training.trainer import Trainer

BLOCKS = 50
"""Points of the curves: each is the mean over so many a part of the tasks."""
LEAST_RATE, MOST_BYTES, MOST_GROWTH = 0.5, 4e9, 0.25
"""Of the bare loop's rate; of the process's memory; of what must not grow, as a share."""
SETTLED = 0.1
"""From this share of the tasks on nothing may grow."""


def measured(items: int, classes: int, tasks: int) -> dict[str, Any]:
    """Seconds of each block of tasks, and what is known after it; then rate, memory and answers."""
    backbone = Drawn(cache_folder())
    kind = methods.get("remodal")
    method = kind(backbone, kind.options(), 0)
    columns: list[Column] = []
    blocks: list[dict[str, float]] = []
    spent: list[float] = []
    size, each = items // tasks, max(1, tasks // BLOCKS)
    with shown_on(progress_console()) as progress, progress.work("tasks", tasks) as learned:
        for task in drawn_tasks(items, classes, backbone, tasks):
            columns += task.columns
            backbone.anchors(task.classes)  # a name is embedded once, whatever learns it
            started = time.process_time()
            learn(method, task, Trainer(0, task.index))
            spent.append(time.process_time() - started)
            if len(spent) % each == 0:
                held = sum(tensor.nbytes for tensor in method.state().tensors.values())
                block = {"classes": len(columns), "seconds_task": sum(spent[-each:]) / each, "bytes": held}
                blocks.append({**block, "peak_bytes": peak_memory_bytes()})
            learned()
        asked, truth = task.tokens[:SCORED], task.labels[:SCORED] + len(columns) - len(task.columns)
        answers = []
        for _ in range(2):
            started = time.process_time()
            with torch.inference_mode():
                right = float((method.scores(asked, columns).argmax(1) == truth).float().mean())
            answers.append(time.process_time() - started)
    peak = peak_memory_bytes()  # before the bare loop's own Gram matrix
    loop = BareLoop(backbone, task)
    bare = min(loop.seconds() for _ in range(3))
    return {
        "items": items,
        "classes": len(columns),
        "tasks": tasks,
        "learn_seconds": sum(spent),
        "rate": bare * size * tasks / sum(spent),
        "bare_ms_item": 1e3 * bare,
        "peak_bytes": peak,
        "first_answer_seconds": answers[0],
        "score_ms_item": 1e3 * answers[1] / len(truth),
        "right": right,
        "blocks": blocks,
    }


def growth(blocks: list[dict[str, float]]) -> dict[str, float]:
    """How much more a task, and a class, costs at the end than at ``SETTLED`` of the tasks, as a share."""
    first, last = blocks[int(SETTLED * len(blocks))], blocks[-1]
    return {
        "seconds a task": last["seconds_task"] / first["seconds_task"] - 1,
        "bytes a class": last["bytes"] / last["classes"] / (first["bytes"] / first["classes"]) - 1,
    }


def missed(found: dict[str, Any]) -> list[str]:
    """The bounds that it misses."""
    bounds = {
        f"learning at {found['rate']:.2f} of the bare loop, under {LEAST_RATE}": found["rate"] < LEAST_RATE,
        f"{found['peak_bytes'] / 1e9:.2f} GB, over {MOST_BYTES / 1e9:.0f}": found["peak_bytes"] > MOST_BYTES,
        **{f"{what} grew by {share:.0%}": share > MOST_GROWTH for what, share in growth(found["blocks"]).items()},
    }
    return [bound for bound, is_missed in bounds.items() if is_missed]


def draw(found: dict[str, Any], path: Path) -> None:
    """Seconds a task, bytes a class and peak memory, over the classes that are known."""
    mpl.rcParams["axes.spines.right"] = mpl.rcParams["axes.spines.top"] = False
    figure = Figure(figsize=(12, 3.5), layout="constrained")
    seconds, held, peak = figure.subplots(1, 3)
    classes = [block["classes"] for block in found["blocks"]]
    a_task = 1e-3 * found["bare_ms_item"] * found["items"] / found["tasks"]
    seconds.plot(classes, [block["seconds_task"] for block in found["blocks"]], label="learning")
    seconds.axhline(a_task, color="grey", linestyle="--", label="bare loop")
    held.plot(classes, [block["bytes"] / block["classes"] / 1e3 for block in found["blocks"]])
    peak.plot(classes, [block["peak_bytes"] / 1e9 for block in found["blocks"]])
    seconds.set(title="Seconds of a core to learn a task", ylim=(0, None))
    held.set(title="Learned state, KB a class", ylim=(0, None))
    peak.set(title="Peak memory, GB", ylim=(0, None))
    for axes in (seconds, held, peak):
        axes.set_xlabel("classes known")
    seconds.legend(frameon=False, loc="lower right")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)


def main() -> int:
    """Learn the stream; print, record and draw what it took; 1 where a bound is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=1_000_000)
    parser.add_argument("--classes", type=int, default=10_000)
    parser.add_argument("--tasks", type=int, default=1_000)
    parser.add_argument("--threads", type=int, default=1)
    asked = parser.parse_args()
    if not 1 <= asked.tasks <= asked.classes <= asked.items:
        parser.error(
            f"found {asked.tasks} tasks of {asked.classes} classes of {asked.items} items; valid: each has some"
        )
    torch.set_num_threads(asked.threads)
    found = measured(asked.items, asked.classes, asked.tasks)
    table = Table("classes", "s a task", "KB a class", "peak, GB")
    for block in found["blocks"][:: max(1, len(found["blocks"]) // 10)]:
        a_class = block["bytes"] / block["classes"] / 1e3
        figures = f"{block['seconds_task']:.2f}", f"{a_class:.1f}", f"{block['peak_bytes'] / 1e9:.2f}"
        table.add_row(f"{block['classes']:,}", *figures)
    console = Console(width=110)
    console.print(table)
    console.print(
        f"{found['rate']:.2f} of the bare loop's rate; peak {found['peak_bytes'] / 1e9:.2f} GB; "
        f"first answer {found['first_answer_seconds']:.1f} s, then {found['score_ms_item']:.1f} ms an item; "
        f"{found['right']:.1%} of {SCORED} right ({MODALITY})"
    )
    for bound in missed(found):
        console.print(f"[red]{bound}")
    record("scale", {"threads": asked.threads, **found})
    draw(found, RESULTS / "scale.png")
    return int(bool(missed(found)))


if __name__ == "__main__":
    sys.exit(main())
