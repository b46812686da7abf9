"""The linear classifier of methods that train prompts: what it sees, which rows learn, what it answers."""

from __future__ import annotations

import math

import pytest
import torch

from remodal.methods import methods
from remodal.methods.linear_classifier import LinearClassifier, seen
from remodal.streams.base import Column
from remodal.testing import ToyBackbone, toy_stream
from remodal.training.trainer import Trainer

CAT, DOG, ELM = Column("image", "cat"), Column("image", "dog"), Column("image", "elm")
STREAM = toy_stream([("image", ("cat", "dog")), ("image", ("elm", "fir"))])


@pytest.mark.parametrize("name", ["l2p", "dualprompt", "coda-prompt", "slca"])
def test_a_task_leaves_the_rows_of_other_classes_as_they_were(name: str) -> None:
    kind = methods.get(name)
    method = kind(ToyBackbone(), kind.options.checked({"steps": 5}), 0)
    rows = []
    for task in STREAM.tasks:
        method.learn(task.train, Trainer(0, task.train.index))
        learned = method.state().under("parts/vision/own" if name == "slca" else "parts/vision/classifier")
        rows.append((learned["weights"], learned["bias"]))
    (first, first_bias), (both, both_bias) = rows
    assert torch.equal(both[:2], first)
    assert torch.equal(both_bias[:2], first_bias)
    assert both[2:].abs().amax(1).min() > 0


def test_features_are_seen_as_a_layer_norm_gives_them() -> None:
    features = torch.tensor([[1.0, 3.0], [10.0, 30.0]])  # both lie 1 standard deviation from their mean
    each = math.sqrt(768 / 2)
    torch.testing.assert_close(seen(features), torch.tensor([[-each, each], [-each, each]]), rtol=1e-4, atol=0)


def test_classes_that_were_not_learned_have_no_score() -> None:
    classifier, rows = LinearClassifier([CAT], torch.tensor([[0.0, 1.0]]), torch.tensor([0.5])).grown([DOG, CAT])
    assert rows.tolist() == [1, 0]
    scores = classifier.scores(torch.tensor([[-1.0, 1.0]]), [ELM, DOG, CAT])
    torch.testing.assert_close(
        scores, torch.tensor([[torch.nan, 0.0, math.sqrt(768 / 2) + 0.5]]), equal_nan=True, rtol=1e-4, atol=0
    )
