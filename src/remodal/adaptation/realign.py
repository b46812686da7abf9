"""(iii) Re-alignment: a modality's embeddings are aligned to the text anchors again, on pseudo-features of all classes.

COMM (arXiv 2503.08064): stored means and covariances, Gaussian pseudo-features, alignment to text trained again.
The adapter is ``h(u) = normalise(align(u) + A u)`` with A = 0 at first: the frozen model's own map to the text space
plus what the classes seen so far ask for. Text anchors stay fixed. The loss is cross-entropy over the classes of the
modality, the same over all classes seen in any modality, and a hinge on pairs of classes whose names are close in
text (RAPF, Huang et al., ECCV 2024).

Design: gradients of A lie in the span of the features that it is trained on, here the class means and the shared
covariance's directions; so A = A' B^T is trained in that basis B, which costs a hundredth and changes nothing else.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Self

import torch
from torch import Generator, Tensor
from torch.nn import functional

from remodal.adaptation.statistics import ClassStatistics, pseudo_features
from remodal.backbones import Backbone, Tower
from remodal.training.trainer import Parameters, Recipe, Trainer

LEARNING_RATE = 5e-3
DECAY = 1e-3
MARGIN = 0.1
CLOSE = 0.55
"""Cosine of two anchors above which their classes are held apart by the hinge."""


@dataclass(frozen=True)
class Anchors:
    """Text anchors, the classifier: ``own [classes, d]`` of the modality's classes, ``seen [k, d]`` of all seen names.

    position: int64 ``[classes]``, row of each own class in ``seen``.
    """

    own: Tensor
    seen: Tensor
    position: Tensor

    @classmethod
    def of(cls, backbone: Backbone, classes: Sequence[str], names: Iterable[str]) -> Self:
        """Of a modality's ``classes``, among the ``names`` of all classes seen (repeats count once)."""
        places = {name: at for at, name in enumerate(dict.fromkeys(names))}
        seen = backbone.anchors(list(places))
        position = torch.tensor([places[name] for name in classes])
        return cls(seen[position], seen, position)


Draw = Callable[[Generator], tuple[Tensor, Tensor]]
"""generator -> (features ``[n, k]`` in the coordinates of the basis, labels ``[n]``): one batch."""


def pseudo_draw(statistics: ClassStatistics, basis: Tensor, count: int) -> Draw:
    """About ``count`` pseudo-features, as many of every class of ``statistics``."""
    means, factor = statistics.within(basis)
    each = math.ceil(count / len(means))
    return lambda draws: pseudo_features(means, factor, each, draws)


def realign(
    tower: Tower,
    basis: Tensor,
    draw: Draw,
    anchors: Anchors,
    scale: float,
    steps: int,
    trainer: Trainer,
    left: Tensor | None = None,
) -> Tensor:
    """The adapter ``A [d, width]``, fitted to ``steps`` batches from ``left``, and held near it; from zero by default.

    basis: orthonormal ``[width, k]``, spans the features that ``draw`` gives. left: ``[d, width]``.
    """
    before = torch.zeros(basis.shape[1], anchors.own.shape[1]) if left is None else (left @ basis).T
    offset = tower.align(torch.zeros(1, len(basis)))
    frozen = tower.align(basis.T) - offset

    def loss(parameters: Parameters, _: Tensor, draws: Generator) -> Tensor:
        features, labels = draw(draws)
        embedded = functional.normalize(features @ (frozen + parameters["adapter"]) + offset, dim=-1)
        within = embedded @ anchors.own.T
        return (
            functional.cross_entropy(scale * within, labels)
            + functional.cross_entropy(scale * embedded @ anchors.seen.T, anchors.position[labels])
            + DECAY * ((parameters["adapter"] - before) ** 2).sum()
            + hinge(within, labels, anchors.own, CLOSE)
        )

    trained = trainer.fit(
        "re-align", {"adapter": before}, loss, samples=1, recipe=Recipe(LEARNING_RATE, steps, batch=1)
    )
    return (basis @ trained["adapter"]).T.contiguous()  # as a file would give it back: to the last bit


def hinge(within: Tensor, labels: Tensor, anchors: Tensor, least: float) -> Tensor:
    """Mean over items of how far close classes come nearer than ``MARGIN`` below the item's own.

    within: cosines ``[n, classes]`` to ``anchors`` ``[classes, d]``. Close are classes whose anchors have a cosine
    above ``least``.
    """
    close = anchors[labels] @ anchors.T > least
    close[torch.arange(len(labels)), labels] = False
    own = within.gather(1, labels[:, None])
    return ((MARGIN - own + within).clamp(min=0) * close).sum(1).mean()


def temperature(logits: Tensor, labels: Tensor) -> float:
    """Divisor of logits ``[n, classes]`` that makes their softmax most likely, by search over a fixed grid."""
    grid = torch.logspace(-1, 1, 41)
    losses = torch.stack([functional.cross_entropy(logits / value, labels) for value in grid])
    return float(grid[losses.argmin()])
