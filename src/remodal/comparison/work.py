"""Runs side by side: as many processes as asked for, each of one thread, each with the cells that come next.

Everything goes through the stem once, before the first process starts, so that these only read the store. A process
keeps the backbone and the tasks of one (order, seed) until a cell needs others.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from functools import lru_cache
from multiprocessing import active_children, get_context, parent_process
from pathlib import Path
from typing import NamedTuple

import torch

from remodal.backbones import Backbone
from remodal.comparison.plan import Cell, Plan, run_folder
from remodal.errors import RemodalError
from remodal.features.progress import Counter, Progress
from remodal.learning.prepare import PreparedStream
from remodal.learning.run import RESULTS, open_stream_for, run
from remodal.learning.settings import RunSettings
from remodal.streams import StreamSettings
from remodal.training.threads import bound_spinning


class Failed(NamedTuple):
    """A cell that could not be finished, and why."""

    cell: Cell
    reason: str


class _Ran(NamedTuple):
    """What a process tells of a cell: accuracy at the end and seconds of learning, or why it failed."""

    line: str
    failed: bool


def run_cells(plan: Plan, out: Path, cache: Path, jobs: int, progress: Progress) -> list[Failed]:
    """Run every cell that isn't finished in the folder ``out`` yet; those that failed.

    Raises:
        RemodalError: The folder holds another table's run in the place of a cell, or nothing can be run at all.
    """
    settings = {cell: plan.settings(cell) for cell in plan.cells}
    todo = [cell for cell in settings if not _finished(settings[cell], run_folder(out, cell), cache)]
    if todo:
        open_stream_for(settings[todo[0]], cache, progress=progress)
    with progress.work("cells", len(settings)) as count:
        count(len(settings) - len(todo))
        return _run_side_by_side({cell: settings[cell] for cell in todo}, out, cache, jobs, progress, count)


def _finished(settings: RunSettings, folder: Path, cache: Path) -> bool:
    if not (folder / RESULTS).exists():
        return False
    run(settings, folder, cache, resume=True)  # nothing is left to do; what isn't this run is refused
    return True


def _run_side_by_side(
    cells: Mapping[Cell, RunSettings], out: Path, cache: Path, jobs: int, progress: Progress, count: Counter
) -> list[Failed]:
    failed: list[Failed] = []
    lost: list[Cell] = []
    bound_spinning()
    # spawn: a fork would copy the threads' locks, in whatever state they are
    with ProcessPoolExecutor(min(jobs, len(cells)) or 1, get_context("spawn"), initializer=_start) as pool:
        try:
            working = {
                pool.submit(_run_one, settings, run_folder(out, cell), cache): cell for cell, settings in cells.items()
            }
            for future in as_completed(working):
                cell = working[future]
                try:
                    ran = future.result()
                except BrokenProcessPool:
                    lost.append(cell)
                    continue
                count()
                if ran.failed:
                    failed.append(Failed(cell, ran.line))
                progress.note(f"{cell.name}: {'failed: ' if ran.failed else ''}{ran.line}")
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for process in active_children():
                process.terminate()  # what a cell has learned is in its folder
            raise
    if lost:
        reason = "a process was killed (out of memory?) before it was finished; the same command goes on"
        progress.note(f"{len(lost)} cells: failed: {reason}")
        failed.extend(Failed(cell, reason) for cell in lost)
    return failed


def _start() -> None:
    """Make a fresh process one that computes alone, and that ends with its parent, however that ends."""
    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # an interrupt is the parent's matter
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)  # or it would go on with a cell that the next command takes up


def _run_one(settings: RunSettings, folder: Path, cache: Path) -> _Ran:
    """One cell. Its errors come back as text: not every exception finds its way from one process to another."""
    try:
        shared = _opened(
            settings.stream, settings.order, settings.seed, settings.backbone, settings.stream_options, cache
        )
        found = run(settings, folder, cache, resume=True, opened=shared[settings.features])
    except RemodalError as error:
        return _Ran(" ".join(str(error).split()), failed=True)
    except Exception as error:  # the other cells can do without this one
        return _Ran(f"{type(error).__name__}: {' '.join(str(error).split())}", failed=True)
    shares = (found["summary"][kind]["last"] for kind in ("aware", "agnostic"))
    aware, agnostic = ("–" if share is None else f"{share:.3f}" for share in shares)
    return _Ran(f"aware {aware}, agnostic {agnostic}, {found['cost']['seconds']['learn']:.1f} s", failed=False)


@lru_cache(maxsize=1)  # what a process remembers between its cells
def _opened(
    stream: str, order: str, seed: int, backbone: str, stream_options: StreamSettings, cache: Path
) -> dict[str, tuple[Backbone, PreparedStream]]:
    """What the runs with these settings share, by kind of features."""
    asked = RunSettings(stream=stream, order=order, seed=seed, backbone=backbone, stream_options=stream_options)
    shared, prepared = open_stream_for(asked, cache)
    views = {"shared": shared, "published": shared.published()}
    for view in views.values():
        # here once, and not in the seconds of whichever method comes first
        view.anchors([name for task in prepared.tasks for name in task.train.classes])
    return {name: (view, prepared) for name, view in views.items()}
