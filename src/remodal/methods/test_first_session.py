"""First session: what learns once, and what the regression is of."""

from __future__ import annotations

import torch
from torch.nn import functional

from remodal.backbones import Tokens
from remodal.methods.first_session import FirstSession, FirstSessionSettings, PromptedRegression
from remodal.testing import ToyBackbone, toy_stream
from remodal.testing.candidate import learn

STREAM = toy_stream()


def taught(tasks: int) -> tuple[FirstSession, PromptedRegression]:
    """The method after the first ``tasks`` tasks, and the part of its vision tower."""
    method = FirstSession(ToyBackbone(), FirstSessionSettings(width=16), seed=0)
    learn(method, STREAM.tasks[:tasks])
    part = method.parts_["vision"]
    assert isinstance(part, PromptedRegression)
    return method, part


def test_prompts_learn_on_the_towers_first_task_alone() -> None:
    _, first = taught(1)
    _, last = taught(len(STREAM.tasks))
    assert first.prompts[:, 1].any()  # values; zeros would leave the frozen model as it is
    assert torch.equal(first.prompts, last.prompts)
    assert torch.equal(first.centre, last.centre)


def test_the_weights_solve_the_ridge_regression_on_features_under_the_prompts() -> None:
    method, part = taught(2)
    of_tower = [task.train for task in STREAM.tasks[:2]]
    tokens = Tokens.concat(task.tokens for task in of_tower)
    columns = [column for task in of_tower for column in task.columns]
    labels = torch.cat([torch.tensor([columns.index(t.columns[label]) for label in t.labels]) for t in of_tower])
    features = method.backbone.towers["vision"].features(tokens, part.prompts)
    rows = method.lifted(method.backbone.towers["vision"], features, part.centre, 16).double()
    gram, targets = rows.T @ rows, functional.one_hot(labels, len(columns)).double()
    penalty = part.strength * gram.diagonal().mean()
    expected = torch.linalg.solve(gram + penalty * torch.eye(16).double(), rows.T @ targets)
    assert part.columns == columns
    torch.testing.assert_close(part.weights.double(), expected, rtol=1e-4, atol=1e-6)
