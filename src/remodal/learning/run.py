"""One run: a method learns a stream step by step and is measured after each task. Killed at any moment, it goes on.

Asked to stop, it does so where it has a checkpoint: within a step's training, after a step was learned, after a task
was scored. So nothing is learned or scored twice.
"""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from remodal.backbones import Backbone, Engine
from remodal.errors import RemodalError
from remodal.features.progress import Progress, Silent
from remodal.files import write_json
from remodal.learning.checkpoint import CHECKPOINT, Checkpoints, Stop, forget_checkpoints, never
from remodal.learning.evaluate import accuracy
from remodal.learning.execution import HERE, Execution
from remodal.learning.history import History
from remodal.learning.metrics import mean
from remodal.learning.opening import method_for, open_stream_for
from remodal.learning.predictions import predict
from remodal.learning.prepare import PreparedStream
from remodal.learning.results import peak_memory_bytes, results
from remodal.learning.settings import RunSettings
from remodal.learning.together import agreed, begins
from remodal.learning.told import Course
from remodal.learning.tracking import Tracking
from remodal.methods import Method
from remodal.methods.base import State
from remodal.streams.base import Column
from remodal.trackers.base import Tracker
from remodal.training.trainer import Trainer

RESULTS = "results.json"
CHECKPOINT_SECONDS = 2.0
"""At least so long between two checkpoints: what a kill can cost, beside the running step."""


@dataclass
class _Measured:
    """What a run has measured so far; the last row of a matrix may still lack tasks.

    seconds: of learning each step. learn, evaluate, save: seconds of all. earlier: what of these earlier processes did.
    """

    aware: list[list[float | None]]
    agnostic: list[list[float | None]]
    seconds: list[float]
    learn: float = 0.0
    evaluate: float = 0.0
    save: float = 0.0
    earlier: float = 0.0

    @property
    def accuracy(self) -> dict[str, list[list[float | None]]]:
        """Both matrices."""
        return {"aware": self.aware, "agnostic": self.agnostic}

    def as_json(self, history: History) -> dict[str, Any]:
        return {**vars(self), "history": history.lines}


def run(
    settings: RunSettings,
    out: Path,
    cache: Path,
    *,
    resume: bool = False,
    strict: bool = False,
    engine: Engine | None = None,
    progress: Progress | None = None,
    opened: tuple[Backbone, PreparedStream] | None = None,
    keep: Callable[[Method, PreparedStream], object] | None = None,
    stop: Stop = never,
    trackers: Sequence[Tracker] = (),
    execution: Execution = HERE,
) -> dict[str, Any]:
    """Learn, measure, and leave a run folder; its ``results.json`` is returned.

    resume: go on with what ``out`` holds. strict: stop at the first item that can't be used. opened: what
    :func:`open_stream_for` gave for these settings and this engine, where many runs share it. keep: called with what
    was learned, before the results are written. stop: asked now and then whether to stop. trackers: are told of the
    run, see :mod:`remodal.trackers`; of a finished one too, with ``resume``. execution: where it is computed; where
    several processes learn together this is the first, and the others :func:`~remodal.learning.follow.follow`.

    Raises:
        RemodalError: ``out`` holds another run, or one that was begun with another device or precision.
        Stopped: The run was to stop. It goes on from there with ``resume``, to the same bits.
    """
    shown = progress or Silent()
    started = time.perf_counter()
    used = engine or Engine()
    tracking = Tracking(trackers, out, resume)
    done = _claim(settings, used, out, resume)
    begins(execution.team, finished=done is not None)
    if done is not None:
        forget_checkpoints(out)  # a process that was killed right after it had written the results has left them
        tracking.finish(done)
        return done
    with used.repeatable(), tracking:
        backbone, prepared = opened or open_stream_for(
            settings, cache, strict=strict, engine=engine, progress=shown, stem_pass=execution.stem_pass
        )
        method = method_for(settings, backbone)
        loaded = time.perf_counter()
        checkpoints, history = Checkpoints(out, prepared.content, stop), History(out / "history.jsonl")
        saved = checkpoints.load()
        agreed(execution.team, prepared.content, *((saved[0], len(saved[1]["seconds"])) if saved else ()))
        measured = _learn(method, prepared, settings, checkpoints, history, shown, tracking, execution, saved)
        before = time.perf_counter()

        def scored(scores: Sequence[Tensor]) -> None:
            if stop():
                measured.evaluate += time.perf_counter() - before
                checkpoints.save_scores(scores)
                checkpoints.save(method.state(), measured.as_json(history))

        predictions = predict(method, prepared, checkpoints.load_scores(), scored)
        measured.evaluate += time.perf_counter() - before
        before = time.perf_counter()
        predictions.write(out / "predictions.parquet")
        state = method.state()
        if keep is not None:
            keep(method, prepared)
        now = time.perf_counter()
        measured.save += now - before
        cost = {
            "seconds": _seconds(prepared, measured, loaded - started, now - started, shared=opened is not None),
            "peak_memory_bytes": peak_memory_bytes(),
            "trainable_parameters": method.trainable_parameters(),
            "stored_bytes": sum(tensor.numel() * tensor.element_size() for tensor in state.tensors.values()),
        }
        figures = {"accuracy": measured.accuracy, "seconds": measured.seconds}
        found = results(settings.as_json(), backbone.engine, prepared, figures, predictions, cost)
        write_json(out / RESULTS, found)
        forget_checkpoints(out)
        tracking.finish(found)
        return found


def _seconds(
    prepared: PreparedStream, measured: _Measured, load: float, total: float, *, shared: bool
) -> dict[str, float]:
    """All that the time went to: the parts are together ``total`` and ``earlier``.

    load: until learning could begin. total: of this process. shared: whether the features were computed before, for
    several runs.
    """
    features, earlier = sum(prepared.seconds.values()), measured.earlier
    if shared:
        earlier += features
    else:
        load -= features
    parts = {
        "load": load,
        **prepared.seconds,
        "learn": measured.learn,
        "evaluate": measured.evaluate,
        "save": measured.save,
    }
    return {**parts, "other": total + earlier - sum(parts.values()), "earlier": earlier, "total": total}


def _claim(settings: RunSettings, engine: Engine, out: Path, resume: bool) -> dict[str, Any] | None:
    """Make ``out`` this run's folder; its results where they are there already.

    A folder in which nothing has been learned yet holds nothing to lose, and is free.
    """
    asked, begins_on = settings.as_json(), {"device": engine.device.type, "dtype": engine.name}
    config = out / "settings.json"
    if (out / RESULTS).exists() or (out / CHECKPOINT).exists():
        found = settings.completed(json.loads(config.read_text()))
        begun_on = {name: found.pop(name, begins_on[name]) for name in begins_on}
        if not resume and (out / RESULTS).exists():
            name = shlex.quote(str(out))
            ways = f"choose another with --out, look at it: remodal report {name}, or remove it: rm -r {name}"
            raise RemodalError(f"{out} holds a finished run; {ways}")
        if not resume:
            raise RemodalError(f"{out} holds a run that was stopped; go on with it: --resume, or choose another --out")
        if found != asked:
            differing = sorted(key for key in asked if found.get(key) != asked[key])
            raise RemodalError(f"{out} holds another run: {', '.join(differing)} differ; choose another folder")
        if (out / RESULTS).exists():
            done: dict[str, Any] = json.loads((out / RESULTS).read_text())
            return done
        if begun_on != begins_on:
            begun = " ".join(f"--{name} {value}" for name, value in begun_on.items())
            raise RemodalError(f"{out} holds a run that was begun with {begun}; go on so, or choose another --out")
    write_json(config, {**asked, **begins_on})
    return None


def _learn(
    method: Method,
    stream: PreparedStream,
    settings: RunSettings,
    checkpoints: Checkpoints,
    history: History,
    progress: Progress,
    tracking: Tracking,
    execution: Execution,
    saved: tuple[State, dict[str, Any]] | None,
) -> _Measured:
    """saved: what the run had learned and measured when it was stopped, if it was."""
    measured = _Measured([], [], [])
    if saved is not None:
        state, figures = saved
        method.restore(state)
        measured = _Measured(**{name: figures[name] for name in figures if name != "history"})
        measured.earlier = measured.learn + measured.evaluate + measured.save
    history.truncate(0 if saved is None else figures["history"])
    course, saved_at = Course.of_stream(stream), time.perf_counter()

    def keep() -> None:
        nonlocal saved_at
        begun = time.perf_counter()
        checkpoints.save(method.state(), measured.as_json(history))
        saved_at = time.perf_counter()
        measured.save += saved_at - begun

    def may_stop() -> None:
        if checkpoints.stop():
            keep()

    with progress.work("steps", len(stream.steps)) as count:
        count(len(measured.seconds))
        _evaluate(method, stream, 0, [], measured, progress, may_stop)
        tracking.step(0, course, measured.accuracy, measured.seconds)
        for index, step in enumerate(stream.steps):
            learned = index < len(measured.seconds)
            if not learned:
                journal = checkpoints.journal(index)
                measured.earlier += journal.seconds
                started = time.perf_counter()
                if step.train is not None:
                    trainer = Trainer(settings.seed, index, journal, history.write, progress, team=execution.team)
                    execution.learn(method, step.train, trainer)
                measured.seconds.append(journal.seconds + time.perf_counter() - started)
                measured.learn += measured.seconds[-1]
                may_stop()
            if step.completes is not None:
                seen = [column for past in stream.steps[: index + 1] for column in past.columns]
                _evaluate(method, stream, step.completes + 1, seen, measured, progress, may_stop)
            tracking.step(index + 1, course, measured.accuracy, measured.seconds)
            if learned:
                continue
            if time.perf_counter() - saved_at > CHECKPOINT_SECONDS:
                keep()
            count()
            if step.completes is not None:
                progress.note(_described(step.completes, stream, measured))
    return measured


def _described(index: int, stream: PreparedStream, measured: _Measured) -> str:
    """A learned task, and how all tasks so far are answered now."""
    task, tasks = stream.tasks[index].train, len(stream.tasks)
    aware, agnostic = (mean(rows[-1][: index + 1]) for rows in (measured.aware, measured.agnostic))
    so_far = (
        "" if aware is None or agnostic is None else f"  so far, modality given: {aware:.3f}, not given: {agnostic:.3f}"
    )
    return f"task {index + 1:{len(str(tasks))}}/{tasks}  {task.modality:<5}{so_far}  {', '.join(task.classes)}"


def _evaluate(
    method: Method,
    stream: PreparedStream,
    row: int,
    seen: list[Column],
    measured: _Measured,
    progress: Progress,
    may_stop: Callable[[], None],
) -> None:
    """Fill a row of both matrices where it isn't; ``may_stop`` is called after each task."""
    for rows in (measured.aware, measured.agnostic):
        if len(rows) == row:
            rows.append([])
    aware, agnostic = measured.aware[row], measured.agnostic[row]
    if len(aware) == len(stream.tasks):
        return
    with progress.work("evaluate", len(stream.tasks)) as count:
        count(len(aware))
        for task in stream.tasks[len(aware) :]:
            started = time.perf_counter()
            found = accuracy(method, task, seen)
            aware.append(found.aware)
            agnostic.append(found.agnostic)
            measured.evaluate += time.perf_counter() - started
            count()
            may_stop()
