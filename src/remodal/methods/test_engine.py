"""ENGINE: what holds the map to the classes before, and how the discriminant's weight is chosen."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch.nn import functional

from remodal.adaptation.alignment import aligned
from remodal.methods.engine import SHARES, EngineSettings, Injected, Injection
from remodal.testing import ToyBackbone, toy_stream
from remodal.testing.candidate import learn, scores_of

TASKS = [("image", ("cat", "dog")), ("image", ("oak", "elm"))]


def taught(tasks: int, **settings: int) -> tuple[Injection, Injected]:
    method = Injection(ToyBackbone(), EngineSettings.checked({"steps": 60, "batch": 8, **settings}), seed=0)
    learn(method, toy_stream(TASKS).tasks[:tasks])
    return method, method.parts_["vision"]


def test_the_map_knows_earlier_classes_after_a_later_task() -> None:
    """By the names alone, whatever the discriminant says."""
    method, part = taught(2)
    test, tower = toy_stream(TASKS).tasks[0].test, method.backbone.tower("image")
    embedded = aligned(tower, part.adapter, tower.features(test.tokens))
    answers = method.backbone.logits(embedded, ["cat", "dog", "oak", "elm"]).argmax(1)
    assert (answers == test.labels).float().mean() > 0.9


def test_all_items_are_in_the_statistics_and_a_fifth_chose() -> None:
    method, part = taught(2)
    tower, tasks = method.backbone.tower("image"), [task.train for task in toy_stream(TASKS).tasks]
    every = [tower.features(task.tokens)[task.labels == label].sum(0) for task in tasks for label in (0, 1)]
    assert part.classes.counts.tolist() == [12, 12, 12, 12]
    torch.testing.assert_close(part.sums, torch.stack(every))
    assert len(part.wrong) == len(SHARES)
    assert max(part.wrong) <= 2 * 5  # of 24 items a task


def test_the_score_is_the_weighted_sum_of_both() -> None:
    method, part = taught(1)
    method.parts_["vision"] = replace(part, wrong=[9, 1, 9, 9])
    task = toy_stream(TASKS).tasks[0]
    tower = method.backbone.tower("image")
    features = tower.features(task.test.tokens)
    cosines = aligned(tower, part.adapter, features) @ method.backbone.anchors(["cat", "dog"]).T
    expected = 0.8 * part.classes.scores(functional.normalize(features)) + 0.2 * 10 * cosines
    torch.testing.assert_close(scores_of(method, task.test.tokens, task.columns), expected)
