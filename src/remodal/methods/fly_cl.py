"""Fly-CL: sparse random features of which an item keeps the largest alone, and ridge regression.

Zou et al., "Fly-CL: a fly-inspired framework for enhancing efficient decorrelation and reduced training time in
pre-trained model-based continual representation learning", ICLR 2026. As in a fly's sense of smell, each random feature
is a sum over 300 random places among the item's features, with standard normal weights; of an item's random features
the largest 30 % are kept, the others set to 0. ``G += H^T H``, ``Q += H^T Y``, weights ``(G + penalty I)^-1 Q``. The
penalty is the one of a grid under which the task's n items have the least error by generalised cross-validation:
``|Y - S Y|^2 / n / (1 - tr(S) / n)^2``, where ``S = H (H^T H + penalty I)^-1 H^T`` is of these items alone.

Deviations: 3,000 random features (1e4 in the paper), as ``ridge`` has: a Gram matrix of 1e4 would take 800 MB; the
sparse matrix is multiplied as a dense one; the paper's grid (1e6 to 1e9) is in units of its features, ours is relative
to the items' mean square; of a task of more than ``CHUNK`` items, so many choose; the features are centred by the first
task's mean, as in ``ridge``.
"""

from __future__ import annotations

import torch
from torch import Generator, Tensor
from torch.nn import functional

from remodal.adaptation.eigen import eigh
from remodal.backbones import Tower
from remodal.methods.base import TaskData, methods
from remodal.methods.ridge import Regression, Ridge, extended
from remodal.training.seeding import normal, uniform
from remodal.training.trainer import Trainer

INPUTS = 300
"""Features that a random feature sums up."""
ACTIVE = 0.3
"""Share of an item's random features that is kept."""
PENALTIES = tuple(0.5 * 10 ** (half / 2) for half in range(7))
"""That are tried, over the task's mean square of an item's random features: from 0.5 to 500."""


@methods.add("fly-cl")
class FlyCl(Ridge):
    """One streaming ridge regression a tower, on sparse random features."""

    def drawn(self, tower: Tower, width: int, draws: Generator) -> Tensor:
        """W ``[features, width]``: in each column, ``INPUTS`` standard normal numbers at random places."""
        numbers, order = (draw(tower.feature_width, width, draws=draws) for draw in (normal, uniform))
        last = order.topk(min(INPUTS, len(order)), dim=0).values[-1]
        return numbers.where(order >= last, 0.0)

    def activated(self, projected: Tensor) -> Tensor:
        """The largest ``ACTIVE`` of each row, and 0 elsewhere."""
        last = projected.topk(max(1, round(ACTIVE * projected.shape[1])), dim=1).values[:, -1:]
        return projected.where(projected >= last, 0.0)

    def learned(self, part: Regression, tower: Tower, task: TaskData, trainer: Trainer) -> Regression:
        """Add the task's moments, choose the penalty on the task, solve again."""
        known, labels = task.among(part.columns)

        def lift(rows: Tensor) -> Tensor:
            return self.inputs(part, tower, task.tokens[rows])

        every = torch.arange(len(labels))
        moments = extended(part.moments, lift, labels, every, len(known))
        some = every[task.chunks()[0]]
        penalty = cross_validated(lift(some), functional.one_hot(task.labels[some]).double())
        strength = penalty / max(float(moments.gram.diagonal().mean()), 1e-30)
        return Regression(known, part.centre, moments.solve(strength), moments, strength)


def cross_validated(rows: Tensor, targets: Tensor) -> float:
    """The penalty with the least error by generalised cross-validation, of rows ``[n, width]``, targets ``[n, k]``."""
    values, vectors = eigh(rows.double() @ rows.double().T)
    values, inside = values.clamp(min=0), vectors.T @ targets
    square = float(values.mean())

    def error(penalty: float) -> float:
        left = penalty / (values + penalty).clamp(min=1e-30)  # what a regression leaves of the targets inside
        return float((left[:, None] * inside).square().sum() / len(left) / left.mean().square().clamp(min=1e-30))

    return min((penalty * square for penalty in PENALTIES), key=error)
