"""Runs side by side: as many processes as asked for, each of one thread, each with the runs that come next.

Everything goes through the stem once, before the first process starts, so that these only read the store. A process
keeps the backbone and the tasks of one (order, seed) until a run needs others.
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
from remodal.errors import RemodalError
from remodal.features.progress import Counter, Progress
from remodal.learning.prepare import PreparedStream
from remodal.learning.run import RESULTS, open_stream_for, run
from remodal.learning.settings import RunSettings
from remodal.streams import StreamSettings
from remodal.training.threads import bound_spinning


class Failed(NamedTuple):
    """A run that could not be finished, by its folder's name, and why."""

    name: str
    reason: str


class _Ran(NamedTuple):
    """What a process tells of a run: accuracy at the end and seconds of learning, or why it failed."""

    line: str
    failed: bool


def run_side_by_side(runs: Mapping[Path, RunSettings], cache: Path, jobs: int, progress: Progress) -> list[Failed]:
    """Run every one that isn't finished in its folder yet; those that failed. All learn the same stream.

    runs: settings by run folder; those that share order and seed should stand one after the other.

    Raises:
        RemodalError: A folder holds another run, or nothing can be run at all.
    """
    todo = {folder: settings for folder, settings in runs.items() if not _finished(settings, folder, cache)}
    if todo:
        open_stream_for(next(iter(todo.values())), cache, progress=progress)
    with progress.work("cells", len(runs)) as count:
        count(len(runs) - len(todo))
        return _run(todo, cache, jobs, progress, count)


def _finished(settings: RunSettings, folder: Path, cache: Path) -> bool:
    if not (folder / RESULTS).exists():
        return False
    run(settings, folder, cache, resume=True)  # nothing is left to do; what isn't this run is refused
    return True


def _run(runs: Mapping[Path, RunSettings], cache: Path, jobs: int, progress: Progress, count: Counter) -> list[Failed]:
    failed: list[Failed] = []
    lost: list[Path] = []
    bound_spinning()
    # spawn: a fork would copy the threads' locks, in whatever state they are
    with ProcessPoolExecutor(min(jobs, len(runs)) or 1, get_context("spawn"), initializer=_start) as pool:
        try:
            working = {pool.submit(_run_one, settings, folder, cache): folder for folder, settings in runs.items()}
            for future in as_completed(working):
                folder = working[future]
                try:
                    ran = future.result()
                except BrokenProcessPool:
                    lost.append(folder)
                    continue
                count()
                if ran.failed:
                    failed.append(Failed(folder.name, ran.line))
                progress.note(f"{folder.name}: {'failed: ' if ran.failed else ''}{ran.line}")
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for process in active_children():
                process.terminate()  # what a run has learned is in its folder
            raise
    if lost:
        reason = "a process was killed (out of memory?) before it was finished; the same command goes on"
        progress.note(f"{len(lost)} cells: failed: {reason}")
        failed.extend(Failed(folder.name, reason) for folder in lost)
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
    os._exit(1)  # or it would go on with a run that the next command takes up


def _run_one(settings: RunSettings, folder: Path, cache: Path) -> _Ran:
    """One run. Its errors come back as text: not every exception finds its way from one process to another."""
    try:
        shared = _opened(
            settings.stream, settings.order, settings.seed, settings.backbone, settings.stream_options, cache
        )
        # hundreds of models would fill a disk
        found = run(settings, folder, cache, resume=True, opened=shared[settings.features])
    except RemodalError as error:
        return _Ran(" ".join(str(error).split()), failed=True)
    except Exception as error:  # the others can do without this one
        return _Ran(f"{type(error).__name__}: {' '.join(str(error).split())}", failed=True)
    shares = (found["summary"][kind]["last"] for kind in ("aware", "agnostic"))
    aware, agnostic = ("–" if share is None else f"{share:.3f}" for share in shares)
    return _Ran(
        f"modality given {aware}, not given {agnostic}, {found['cost']['seconds']['learn']:.1f} s", failed=False
    )


@lru_cache(maxsize=1)  # what a process remembers between its runs
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
