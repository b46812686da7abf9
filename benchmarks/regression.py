"""One head for features of any kind: ridge regression, with the penalty that leaves each item out best."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from remodal.adaptation.ridge import LowRankRidge

PENALTIES = tuple(10.0 ** (exponent / 2) for exponent in range(-8, 1))
"""That are tried, over the mean square of an item."""


def regressed(features: Tensor, labels: Tensor, asked_for: Tensor) -> Tensor:
    """Scores ``[k, classes]`` of ``asked_for`` ``[k, width]``, by regression on ``features`` ``[n, width]``."""
    centre = features.mean(0)
    features, classes = features - centre, int(labels.max()) + 1
    moments = LowRankRidge.empty(features.shape[1]).sketch.added(features, labels, classes)
    square = float(features.square().sum(1).mean())
    left_out = moments.left_out(labels, [penalty * square for penalty in PENALTIES])
    errors = (left_out - functional.one_hot(labels, classes)).square().mean(dim=(1, 2))
    return (asked_for - centre) @ moments.solve(PENALTIES[int(errors.argmin())] * square)


def share(scores: Tensor, labels: Tensor) -> float:
    """Of rows whose highest score is the label's."""
    return float((scores.argmax(1) == labels).float().mean())
