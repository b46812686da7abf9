"""Runs side by side: everything goes through the stem once, then each run is a job, done by a process of its own.

So these only read the store. When the time is over no run begins any more, and those that are going on stop where they
have a checkpoint.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from remodal.backbones import Engine
from remodal.comparison.collect import is_finished
from remodal.comparison.job import Job, share_gpu
from remodal.comparison.processes import Pool
from remodal.errors import RemodalError, Stopped
from remodal.features.extract import StemPass, extract
from remodal.features.progress import Counter, Progress, Until
from remodal.features.shared import open_store
from remodal.learning.checkpoint import Stop, never
from remodal.learning.opening import needs_of, open_stream_for
from remodal.learning.run import run
from remodal.learning.settings import RunSettings
from remodal.trackers import Tracker


class Failed(NamedTuple):
    """A run that could not be finished, by its folder's name, and why."""

    name: str
    reason: str


class Outcome(NamedTuple):
    """What became of the runs. left: how many there was no time to finish; they go on, or begin, the next time."""

    failed: list[Failed]
    left: int


def run_side_by_side(
    runs: Mapping[Path, RunSettings],
    cache: Path,
    pool: Pool,
    progress: Progress,
    over: Stop = never,
    engine: Engine | None = None,
    trackers: Callable[[], Sequence[Tracker]] = tuple,
    stem_pass: StemPass = extract,
) -> Outcome:
    """Run every one that isn't finished in its folder yet. All learn the same stream.

    runs: settings by run folder; those that share order and seed should stand one after the other. pool: who does them.
    over: whether the time is; it can be pickled, since it is asked in other processes too. engine: where the frozen
    model computes, in every process; the CPU by default. trackers: makes those that are told of the runs, in every
    process. stem_pass: who does it.

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
                next(iter(todo.values())), cache, engine=engine, progress=shown, needs_tokens=needs, stem_pass=stem_pass
            )
            with_tokens = frozenset(name for name, tower in backbone.towers.items() if needs(tower))
            share_gpu()
        jobs = [Job(settings, folder, over, engine, with_tokens, trackers) for folder, settings in todo.items()]
        with progress.work("cells", len(runs)) as count:
            count(len(runs) - len(todo))
            return _run(jobs, pool, progress, count)
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
    if not is_finished(folder):
        return False
    run(settings, folder, cache, resume=True)  # nothing is left to do; what isn't this run is refused
    return True


def _run(jobs: Sequence[Job], pool: Pool, progress: Progress, count: Counter) -> Outcome:
    """Raises Stopped where the time was over before one of them could begin."""
    failed: list[Failed] = []
    lost: list[str] = []
    stopped = not_begun = 0
    with closing(pool.done(jobs)) as done:
        for job, ran in done:
            name = job.folder.name
            if ran is None:
                lost.append(name)
                continue
            stopped += ran.end == "stopped"
            not_begun += ran.end == "not begun"
            for told in ran.told:
                progress.note(f"{name}: {told}")
            if ran.end == "failed":
                failed.append(Failed(name, ran.line))
            if ran.end in ("finished", "failed"):
                count()
                progress.note(f"{name}: {'failed: ' if ran.end == 'failed' else ''}{ran.line}")
    if lost:
        reason = "a process was killed (out of memory?) before it was finished; the same command goes on"
        progress.note(f"{len(lost)} cells: failed: {reason}")
        failed.extend(Failed(name, reason) for name in lost)
    if jobs and not_begun == len(jobs):
        raise Stopped
    return Outcome(failed, stopped + not_begun)
