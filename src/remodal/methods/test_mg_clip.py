"""MG-CLIP: how far the model moves, and what the two classifiers say together."""

from __future__ import annotations

import torch
from torch.nn import functional

from remodal.adaptation.adapt import Adapted
from remodal.adaptation.lesson import Lesson
from remodal.methods.mg_clip import Compensated, MgClip, MgClipSettings, mean_logits
from remodal.streams.base import Column
from remodal.testing import ToyBackbone, toy_stream
from remodal.testing.candidate import learn

STREAM = toy_stream(alignment=1.0)
COLUMNS = [Column("image", name) for name in ("cat", "dog", "oak", "elm")]
UNMOVED = Adapted(torch.zeros(1, 2, 8, 12), torch.zeros(8, 24))


def taught(tasks: int, **settings: float) -> Compensated:
    method = MgClip(
        ToyBackbone(), MgClipSettings.checked({"steps": 5, "row_steps": 20, "batch": 8, **settings}), seed=0
    )
    learn(method, [task for task in STREAM.tasks if task.train.modality == "image"][:tasks])
    return method.parts_["vision"]


def test_a_model_that_moves_slowly_takes_more_epochs_and_later_tasks_as_many() -> None:
    assert taught(2, learning_rate=1e-1).epochs == 1
    assert taught(2, learning_rate=1e-7).epochs == 8


def test_rows_of_earlier_classes_stay_as_they_are() -> None:
    first, second = taught(1), taught(2)
    assert [column.name for column in second.columns] == ["cat", "dog", "oak", "elm"]
    assert torch.equal(second.rows[:2], first.rows)
    torch.testing.assert_close(second.rows.norm(dim=1), torch.ones(4))


def test_mean_logits_by_hand() -> None:
    """Of an item of each of three classes, whose cosines are known."""
    backbone, task = ToyBackbone(), STREAM.tasks[0].train
    tower, tokens = backbone.tower("image"), task.tokens[torch.tensor([0, 1, 2])]
    z = functional.normalize(tower.align(tower.features(tokens)), dim=-1)
    lesson = Lesson(tower, tokens, torch.tensor([0, 1, 2]), z, scale=10.0)
    right, wrong = mean_logits(lesson, UNMOVED)
    cosines = z @ z.T
    assert abs(right - 10.0) < 1e-4
    assert abs(wrong - float(10 * (cosines.sum() - 3) / 6)) < 1e-4


def test_the_score_is_what_both_classifiers_say() -> None:
    method = MgClip(ToyBackbone(), MgClipSettings(), seed=0)
    draws = torch.Generator().manual_seed(0)
    rows = functional.normalize(torch.randn(2, 8, generator=draws), dim=-1)
    method.parts_["vision"] = Compensated(UNMOVED, 1, COLUMNS[:2], rows)
    tokens = STREAM.tasks[0].test.tokens
    tower = method.backbone.tower("image")
    z = functional.normalize(tower.align(tower.features(tokens)), dim=-1)
    names = method.backbone.anchors(["cat", "dog", "oak"])
    known = 0.2 * (10 * z @ names[:2].T).softmax(1) + 0.8 * (z @ rows.T).softmax(1)
    new = 0.2 * (10 * z @ names[2]).exp() / (10 * z @ names[:2].T).exp().sum(1)
    expected = torch.cat([known, new[:, None]], dim=1).log()
    torch.testing.assert_close(method.scores(tokens, COLUMNS[:3]), expected)
    torch.testing.assert_close(method.scores(tokens, COLUMNS[1::-1]), expected[:, [1, 0]])
