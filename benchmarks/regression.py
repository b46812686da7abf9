"""One head for features of any kind: ridge regression, with the penalty that leaves each item out best."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from remodal.adaptation.ridge import LowRankRidge

PENALTIES = tuple(10.0 ** (exponent / 2) for exponent in range(-8, 1))
"""That are tried, over the mean square of an item."""


def regressed(features: Tensor, labels: Tensor, asked_for: Tensor) -> Tensor:
    """Scores ``[k, classes]`` of ``asked_for`` ``[k, width]``, by regression on ``features`` ``[n, width]``."""
    centre, classes = features.mean(0), int(labels.max()) + 1
    own, asked = (functional.pad(one - centre, (0, 1), value=1.0) for one in (features, asked_for))  # 1: the bias
    moments = LowRankRidge.empty(own.shape[1]).sketch.added(own, labels, classes)
    square = float(own.square().sum(1).mean())
    left_out = moments.left_out(labels, [penalty * square for penalty in PENALTIES])
    errors = (left_out - functional.one_hot(labels, classes)).square().mean(dim=(1, 2))
    return asked @ moments.solve(PENALTIES[int(errors.argmin())] * square)


def share(scores: Tensor, labels: Tensor) -> float:
    """Of rows whose highest score is the label's."""
    return float((scores.argmax(1) == labels).float().mean())
