"""A whole run, what is kept of it and what it answers, on a device that isn't the CPU."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from remodal.answering import answered
from remodal.backbones import Engine
from remodal.familiarity import Familiarity
from remodal.learning.prepare import PreparedStep, PreparedStream
from remodal.learning.run import run
from remodal.learning.settings import RunSettings
from remodal.methods.base import Method
from remodal.saved.learned import Learned
from remodal.saved.pieces import gathered, stored
from remodal.testing import ToyBackbone, toy_stream
from remodal.testing.elsewhere import elsewhere


def placed(stream: PreparedStream, engine: Engine) -> PreparedStream:
    """Labels are where features are, as :func:`~remodal.learning.prepare.prepare` puts them."""
    tasks = []
    for task in stream.tasks:
        train, test = (
            replace(part, labels=engine.home_of(part.labels))
            for part in (task.train, task.test)  # type: ignore[type-var]
        )
        tasks.append(replace(task, train=train, test=test))
    steps = (PreparedStep(task.train.modality, task.train, task.train.index) for task in tasks)
    return replace(stream, tasks=tuple(tasks), steps=tuple(steps))


def ran(engine: Engine, folder: Path) -> tuple[Any, ...]:
    """Accuracies, those on held-out items, answers of what was saved, and lineage."""
    backbone, stream, kept = ToyBackbone(engine), placed(toy_stream(items=6), engine), list[Method]()
    settings = RunSettings(stream="toy", method="remodal", options={"width": 64, "rank": 8})
    results = run(
        settings, folder / "run", folder, engine=engine, opened=(backbone, stream),
        keep=lambda method, _: kept.append(method),
    )  # fmt: skip
    (method,), learned = kept, Learned.from_run(stream, "toy")
    loaded = type(method)(backbone, method.settings, 0)
    loaded.restore(gathered(folder, stored(folder, method.state())))
    with torch.inference_mode():
        familiarity = Familiarity(learned.held_out, loaded)
    tokens = stream.tasks[1].test.tokens
    answers = answered(loaded, tokens, learned.columns, familiarity, ["clip"] * len(tokens), 1)
    said = [(answer.best[0].label, answer.modality, answer.familiarity) for answer in answers]
    return results["accuracy"], learned.held_out.accuracy(loaded, learned.columns), said, learned.lineage


def test_what_is_learned_elsewhere_is_measured_kept_and_answers_as_on_the_cpu(tmp_path: Path) -> None:
    expected = ran(Engine(), tmp_path / "here")
    with elsewhere() as device:
        assert ran(Engine(device), tmp_path / "there") == expected
