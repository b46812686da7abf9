"""One run: a method learns a stream step by step and is measured after each task. Killed at any moment, it goes on."""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from remodal.backbones import Backbone, Engine, load_backbone
from remodal.errors import RemodalError
from remodal.features.progress import Progress, Silent
from remodal.features.store import FeatureStore
from remodal.files import write_json
from remodal.learning.checkpoint import Checkpoints
from remodal.learning.evaluate import accuracy
from remodal.learning.history import History
from remodal.learning.metrics import mean
from remodal.learning.predictions import predict
from remodal.learning.prepare import PreparedStream, prepare
from remodal.learning.results import peak_memory_bytes, results
from remodal.learning.settings import RunSettings
from remodal.methods import Method, methods
from remodal.methods.base import State
from remodal.streams import StreamSettings
from remodal.streams import stream as open_stream
from remodal.streams.base import Column, Quarantined
from remodal.streams.listing import listed
from remodal.training.trainer import Trainer

RESULTS = "results.json"
CHECKPOINT_SECONDS = 2.0
"""At least so long between two checkpoints: what a kill can cost, beside the running step."""


@dataclass
class _Measured:
    """What a run has measured so far. seconds: of learning each step. learn, evaluate, save: seconds of all."""

    aware: list[list[float | None]]
    agnostic: list[list[float | None]]
    seconds: list[float]
    learn: float = 0.0
    evaluate: float = 0.0
    save: float = 0.0

    def as_json(self) -> dict[str, Any]:
        return dict(vars(self))


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
) -> dict[str, Any]:
    """Learn, measure, and leave a run folder; its ``results.json`` is returned.

    resume: go on with what ``out`` holds. strict: stop at the first item that can't be used. opened: what
    :func:`open_stream_for` gave for these settings, where many runs share it. keep: called with what was learned,
    before the results are written. Raises RemodalError where ``out`` holds another run.
    """
    shown = progress or Silent()
    started = time.perf_counter()
    if (done := _claim(settings, out, resume)) is not None:
        return done
    chosen = methods.get(settings.method).options.checked(settings.options)
    backbone, prepared = opened or open_stream_for(settings, cache, strict=strict, engine=engine, progress=shown)
    method = methods.get(settings.method)(backbone, chosen, settings.seed)
    loaded = time.perf_counter()
    checkpoints, history = Checkpoints(out, prepared.content), History(out / "history.jsonl")
    saved = checkpoints.load()
    measured = _learn(method, prepared, settings, checkpoints, history, shown, saved)
    before = time.perf_counter()
    predictions = predict(method, prepared)
    measured.evaluate += time.perf_counter() - before
    before = time.perf_counter()
    predictions.write(out / "predictions.parquet")
    state = method.state()
    if keep is not None:
        keep(method, prepared)
    now = time.perf_counter()
    measured.save += now - before
    earlier = sum(saved[1].get(part, 0.0) for part in ("learn", "evaluate", "save")) if saved else 0.0
    cost = {
        "seconds": _seconds(prepared, measured, loaded - started, now - started, earlier, shared=opened is not None),
        "peak_memory_bytes": peak_memory_bytes(),
        "trainable_parameters": method.trainable_parameters(),
        "stored_bytes": sum(tensor.numel() * tensor.element_size() for tensor in state.tensors.values()),
    }
    figures = {
        "accuracy": {"aware": measured.aware, "agnostic": measured.agnostic},
        "seconds": measured.seconds,
    }
    found = results(settings.as_json(), prepared, figures, predictions, cost)
    write_json(out / RESULTS, found)
    checkpoints.remove()
    return found


def open_stream_for(
    settings: RunSettings,
    cache: Path,
    *,
    strict: bool = False,
    engine: Engine | None = None,
    progress: Progress | None = None,
) -> tuple[Backbone, PreparedStream]:
    """The backbone and the tasks that a run with these settings learns from, whatever its method."""
    shown = progress or Silent()
    backbone = load_backbone(settings.backbone, cache, engine)
    if settings.features == "published":
        backbone = backbone.published()
    stream = open_stream(
        settings.stream, order=settings.order, seed=settings.seed, **settings.stream_options.model_dump()
    )
    if strict:
        _refuse(stream.quarantined)
    with FeatureStore(cache / "features") as store:
        prepared = prepare(stream, backbone, store, shown)
    if prepared.quarantined:
        shown.note(f"skipped: {len(prepared.quarantined):,} that can't be used; the summary lists them")
    if prepared.repeated:
        shown.note(f"held out and learned from: {len(prepared.repeated):,} items; the summary names them")
    if strict:
        _refuse(prepared.quarantined)
    return backbone, prepared


def _seconds(
    prepared: PreparedStream, measured: _Measured, load: float, total: float, earlier: float, *, shared: bool
) -> dict[str, float]:
    """All that the time went to: the parts are together ``total`` and ``earlier``.

    load: until learning could begin. total: of this process. earlier: spent by those that it goes on from. shared:
    whether the features were computed before, for several runs.
    """
    features = sum(prepared.seconds.values())
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


def _refuse(quarantined: Sequence[Quarantined]) -> None:
    """Stop where there are items that can't be used."""
    if quarantined:
        raise RemodalError(f"{listed(quarantined)} (strict)")


def _claim(settings: RunSettings, out: Path, resume: bool) -> dict[str, Any] | None:
    """Make ``out`` this run's folder; its results where they are there already.

    A folder in which nothing has been learned yet holds nothing to lose, and is free.
    """
    asked = settings.as_json()
    config = out / "settings.json"
    if (out / RESULTS).exists() or (out / "checkpoint").exists():
        found = json.loads(config.read_text())
        # a setting that the run's version did not have stands at its default
        found["settings"]["stream"] = {**StreamSettings().model_dump(), **found["settings"]["stream"]}
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
    write_json(config, asked)
    return None


def _learn(
    method: Method,
    stream: PreparedStream,
    settings: RunSettings,
    checkpoints: Checkpoints,
    history: History,
    progress: Progress,
    saved: tuple[State, dict[str, Any]] | None,
) -> _Measured:
    """saved: what the run had learned and measured when it was stopped, if it was."""
    with progress.work("steps", len(stream.steps)) as count:
        if saved is None:
            measured = _Measured([], [], [])
            history.truncate(0)
            _evaluate(method, stream, [], measured, progress)
        else:
            state, figures = saved
            method.restore(state)
            history.truncate(figures["history"])
            measured = _Measured(**{name: figures[name] for name in figures if name != "history"})
            count(len(measured.seconds))
        saved_at = time.perf_counter()
        for index, step in enumerate(stream.steps):
            if index < len(measured.seconds):
                continue
            started = time.perf_counter()
            if step.train is not None:
                trainer = Trainer(settings.seed, index, checkpoints.journal(index), history.write, progress)
                method.learn(step.train, trainer)
            measured.seconds.append(time.perf_counter() - started)
            measured.learn += measured.seconds[-1]
            if step.completes is not None:
                seen = [column for past in stream.steps[: index + 1] for column in past.columns]
                _evaluate(method, stream, seen, measured, progress)
            if time.perf_counter() - saved_at > CHECKPOINT_SECONDS:
                begun = time.perf_counter()
                checkpoints.save(method.state(), {**measured.as_json(), "history": history.lines})
                saved_at = time.perf_counter()
                measured.save += saved_at - begun
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
    method: Method, stream: PreparedStream, seen: list[Column], measured: _Measured, progress: Progress
) -> None:
    """Add a row to both matrices."""
    started = time.perf_counter()
    rows = []
    with progress.work("evaluate", len(stream.tasks)) as count:
        for task in stream.tasks:
            rows.append(accuracy(method, task, seen))
            count()
    measured.aware.append([row.aware for row in rows])
    measured.agnostic.append([row.agnostic for row in rows])
    measured.evaluate += time.perf_counter() - started
