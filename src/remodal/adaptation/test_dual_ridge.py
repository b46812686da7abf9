"""Regression in its dual form: the same as in the primal one, and errors on items that are really left out."""

from __future__ import annotations

import torch

from remodal.adaptation.dual_ridge import PENALTIES, DualRidge
from remodal.training.seeding import generator, normal


def test_it_is_ridge_regression_with_a_bias() -> None:
    """Solved in the features' own space, with the penalty that was chosen, it answers the same."""
    features, targets, others = (normal(n, k, draws=generator(n, "items")) for n, k in ((30, 4), (30, 2), (5, 4)))
    fitted = DualRidge.fitted(features, targets)
    rows, rest = (features - features.mean(0)).double(), (targets - targets.mean(0)).double()
    scale = rows.square().sum() / len(rows)
    answers = [
        (others.double() - features.mean(0))
        @ torch.linalg.solve(rows.T @ rows + penalty * scale * torch.eye(4).double(), rows.T @ rest)
        + targets.mean(0)
        for penalty in PENALTIES
    ]
    assert min(float((fitted(others) - answer).abs().max()) for answer in answers) < 1e-5


def test_errors_are_of_items_that_were_left_out() -> None:
    """Each item regressed on the others alone, with the same penalty: what the closed form says without doing so."""
    features, targets = normal(12, 40, draws=generator(0, "items")), normal(12, 3, draws=generator(1, "targets"))
    targets = targets + features[:, :3] * 2
    errors = DualRidge.fitted(features, targets).errors
    rows = features - features.mean(0)
    scale = rows.square().sum() / len(rows)
    by_penalty = []
    for penalty in PENALTIES:
        found = []
        for out in range(len(features)):
            kept = torch.arange(len(features)) != out
            centre, mean = features[kept].mean(0), targets[kept].mean(0)
            own, rest = (features[kept] - centre).double(), (targets[kept] - mean).double()
            weights = own.T @ torch.linalg.solve(own @ own.T + penalty * scale * torch.eye(len(own)).double(), rest)
            found.append((mean + (features[out] - centre).double() @ weights - targets[out]).square().sum())
        by_penalty.append(torch.stack(found).float())
    best = min(by_penalty, key=lambda one: float(one.mean()))
    torch.testing.assert_close(errors, best, rtol=1e-3, atol=1e-4)


def test_targets_that_the_features_do_not_tell_are_taken_as_their_mean() -> None:
    features, targets = normal(20, 6, draws=generator(0, "items")), normal(20, 1, draws=generator(1, "targets"))
    fitted, others = DualRidge.fitted(features, targets), normal(50, 6, draws=generator(2, "others"))
    assert float((fitted(others) - targets.mean()).abs().mean()) < 0.5 * float((targets - targets.mean()).abs().mean())
