"""Runs side by side: as many processes as asked for, each of one thread, each with the runs that come next.

Everything goes through the stem once, before the first process starts, so that these only read the store. A process
keeps the backbone and the tasks of one (order, seed) until a run needs others. When the time is over no run begins any
more, and those that are going on stop where they have a checkpoint.
"""

from __future__ import annotations

import gc
import os
import signal
import threading
import warnings
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from functools import lru_cache, partial
from multiprocessing import active_children, get_context, parent_process
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch

from remodal.backbones import Backbone, Engine, registered
from remodal.errors import RemodalError, Stopped, TrackerFailed
from remodal.features.progress import Counter, Progress, Until
from remodal.features.shared import open_store
from remodal.learning.checkpoint import Stop, never
from remodal.learning.opening import needs_of, open_stream_for
from remodal.learning.prepare import PreparedStream
from remodal.learning.run import RESULTS, run
from remodal.learning.settings import RunSettings
from remodal.settings import Settings
from remodal.streams import StreamSettings
from remodal.trackers import Tracker
from remodal.training.threads import bound_spinning


class Failed(NamedTuple):
    """A run that could not be finished, by its folder's name, and why."""

    name: str
    reason: str


class Outcome(NamedTuple):
    """What became of the runs. left: how many there was no time to finish; they go on, or begin, the next time."""

    failed: list[Failed]
    left: int


class _Ran(NamedTuple):
    """What a process tells of a run. line: accuracy at the end and seconds of learning, or why it failed.

    told: of trackers that failed.
    """

    end: Literal["finished", "failed", "stopped", "not begun"]
    line: str = ""
    told: tuple[str, ...] = ()


def run_side_by_side(
    runs: Mapping[Path, RunSettings],
    cache: Path,
    jobs: int,
    progress: Progress,
    over: Stop = never,
    engine: Engine | None = None,
    trackers: Callable[[], Sequence[Tracker]] = tuple,
) -> Outcome:
    """Run every one that isn't finished in its folder yet. All learn the same stream.

    runs: settings by run folder; those that share order and seed should stand one after the other. over: whether the
    time is; it can be pickled, since it is asked in other processes too. engine: where the frozen model computes, in
    every process; the CPU by default. trackers: makes those that are told of the runs, in every process.

    Raises:
        RemodalError: A folder holds another run, nothing can be run at all, or the time was over before anything was
            done: the next time it would be so again.
    """
    todo = {folder: settings for folder, settings in runs.items() if not _finished(settings, folder, cache)}
    stored = _entries(cache) if todo else 0
    with_tokens = frozenset[str]()
    try:
        if todo:
            needs, shown = needs_of(*todo.values()), Until(progress, over)
            backbone, _ = open_stream_for(
                next(iter(todo.values())), cache, engine=engine, progress=shown, needs_tokens=needs
            )
            with_tokens = frozenset(name for name, tower in backbone.towers.items() if needs(tower))
            _share_gpu()
        with progress.work("cells", len(runs)) as count:
            count(len(runs) - len(todo))
            return _run(todo, cache, jobs, progress, count, over, engine, with_tokens, trackers)
    except Stopped:  # before a run could begin
        if _entries(cache) == stored:
            found = "the time was over before a run could begin, and would be again"
            raise RemodalError(f"{found}; valid: more minutes") from None
        return Outcome([], len(todo))


def _entries(cache: Path) -> int:
    """Of the store of features."""
    with open_store(cache / "features") as store:
        return store.count()


def _finished(settings: RunSettings, folder: Path, cache: Path) -> bool:
    if not (folder / RESULTS).exists():
        return False
    run(settings, folder, cache, resume=True)  # nothing is left to do; what isn't this run is refused
    return True


def _run(
    runs: Mapping[Path, RunSettings],
    cache: Path,
    jobs: int,
    progress: Progress,
    count: Counter,
    over: Stop,
    engine: Engine | None,
    with_tokens: frozenset[str],
    trackers: Callable[[], Sequence[Tracker]],
) -> Outcome:
    """Raises Stopped where the time was over before one of them could begin.

    with_tokens: names of the towers whose items' tokens one of them needs.
    """
    failed: list[Failed] = []
    lost: list[Path] = []
    stopped = not_begun = 0
    bound_spinning()
    # spawn: a fork would copy the threads' locks, in whatever state they are
    with ProcessPoolExecutor(min(jobs, len(runs)) or 1, get_context("spawn"), initializer=_start) as pool:
        try:
            common = cache, over, engine, with_tokens, trackers
            working = {
                pool.submit(_run_one, partial(_ran, own, folder, *common)): folder for folder, own in runs.items()
            }
            for future in as_completed(working):
                folder = working[future]
                try:
                    ran = future.result()
                except BrokenProcessPool:
                    lost.append(folder)
                    continue
                stopped += ran.end == "stopped"
                not_begun += ran.end == "not begun"
                for told in ran.told:
                    progress.note(f"{folder.name}: {told}")
                if ran.end == "failed":
                    failed.append(Failed(folder.name, ran.line))
                if ran.end in ("finished", "failed"):
                    count()
                    progress.note(f"{folder.name}: {'failed: ' if ran.end == 'failed' else ''}{ran.line}")
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for process in active_children():
                process.terminate()  # what a run has learned is in its folder
            raise
    if lost:
        reason = "a process was killed (out of memory?) before it was finished; the same command goes on"
        progress.note(f"{len(lost)} cells: failed: {reason}")
        failed.extend(Failed(folder.name, reason) for folder in lost)
    if runs and not_begun == len(runs):
        raise Stopped
    return Outcome(failed, stopped + not_begun)


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


def _run_one(run_: Callable[[], _Ran]) -> _Ran:
    """One run, and the failures of trackers: what a process of a pool says itself is not for the user's eyes."""
    told: list[str] = []
    with warnings.catch_warnings():
        shown = warnings.showwarning

        def keep(message: Warning | str, category: type[Warning], *where: Any, **more: Any) -> None:
            if issubclass(category, TrackerFailed):
                told.append(str(message))
            else:
                shown(message, category, *where, **more)

        warnings.showwarning = keep
        ran = run_()
    return ran._replace(told=tuple(told))


def _ran(
    settings: RunSettings,
    folder: Path,
    cache: Path,
    over: Stop,
    engine: Engine | None,
    with_tokens: frozenset[str],
    trackers: Callable[[], Sequence[Tracker]],
) -> _Ran:
    """Its errors come back as text: not every exception finds its way from one process to another."""
    if over():
        return _Ran("not begun")
    try:
        of_backbone = registered(settings.backbone).options.checked(settings.backbone_options)
        shared = _opened(
            settings.stream, settings.order, settings.seed, settings.stream_options, settings.backbone, of_backbone,
            engine, cache, with_tokens,
        )  # fmt: skip
        # hundreds of models would fill a disk
        own = shared[settings.features]
        told = trackers()
        found = run(settings, folder, cache, resume=True, engine=engine, opened=own, stop=over, trackers=told)
    except Stopped:
        return _Ran("stopped")
    except RemodalError as error:
        return _Ran("failed", " ".join(str(error).split()))
    except Exception as error:  # the others can do without this one
        return _Ran("failed", f"{type(error).__name__}: {' '.join(str(error).split())}")
    finally:
        _share_gpu()
    shares = (found["summary"][kind]["last"] for kind in ("aware", "agnostic"))
    aware, agnostic = ("–" if share is None else f"{share:.3f}" for share in shares)
    seconds = found["cost"]["seconds"]["learn"]
    return _Ran("finished", f"modality given {aware}, not given {agnostic}, {seconds:.1f} s")


def _share_gpu() -> None:
    """What this process holds of a GPU and no longer needs is the other processes' now."""
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        gc.collect()
        torch.cuda.empty_cache()


@lru_cache(maxsize=1)  # what a process remembers between its runs
def _opened(
    stream: str,
    order: str,
    seed: int,
    of_stream: StreamSettings,
    backbone: str,
    of_backbone: Settings,
    engine: Engine | None,
    cache: Path,
    with_tokens: frozenset[str],
) -> dict[str, tuple[Backbone, PreparedStream]]:
    """What the runs with these settings share, by kind of features."""
    _opened.cache_clear()  # or the last runs' would be held beside it
    _share_gpu()
    own = of_backbone.model_dump()
    asked = RunSettings(
        stream=stream, order=order, seed=seed, backbone=backbone, stream_options=of_stream, backbone_options=own
    )
    shared, prepared = open_stream_for(
        asked, cache, engine=engine, needs_tokens=lambda tower: tower.name in with_tokens
    )
    views = {"shared": shared, "published": shared.published()}
    for view in views.values():
        # here once, and not in the seconds of whichever method comes first
        view.anchors([name for task in prepared.tasks for name in task.train.classes])
    return {name: (view, prepared) for name, view in views.items()}
