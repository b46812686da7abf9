"""Whether a medium is like anything that a model has learned.

A probability says which of the known classes fits best, not whether any does: a photograph is no drawing, but a model
that knows drawings alone has to call it one. So each medium is also compared with the items that the model holds out
(:mod:`remodal.saved.held_out`): how like the nearest of them is it, and how many of them are no more like their own
nearest? The second is a conformal p-value (Vovk et al., Algorithmic Learning in a Random World, 2005; as a test of
novelty: Laxhammar & Falkman, 2011), with the nearest neighbour in frozen features as its measure (Sun et al., ICML
2022). Deviation: the held-out items are compared with one item less than a medium is.
"""

from __future__ import annotations

from collections import defaultdict
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from remodal.backbones import CHUNK, Backbone
from remodal.saved.held_out import HeldOut


class _Known(NamedTuple):
    """Held-out items of one modality. features: ``[n, d]``, of length one. nearest: cosines ``[n]``, sorted."""

    features: Tensor
    nearest: Tensor


class Familiarity:
    """Of media, to a model that holds out ``held_out``; a medium's modality plays no part."""

    def __init__(self, held_out: HeldOut, backbone: Backbone) -> None:
        self.held_out = held_out
        self._known: dict[str, list[_Known]] = defaultdict(list)
        for modality, kept in held_out.kept.items():
            if len(kept.labels) > 1:
                tower = backbone.tower(modality)
                features = functional.normalize(tower.features(kept.tokens), dim=1)
                places = torch.split(torch.arange(len(features)), CHUNK)
                nearest = torch.cat([_nearest_other(features, rows) for rows in places])
                self._known[tower.name].append(_Known(features, nearest.sort().values))

    def __call__(self, features: Tensor, tower: str) -> list[float | None]:
        """The p-value of each of some media, in the modality in which it is largest; None where nothing is held out.

        features: ``[m, d]`` of that tower, frozen.
        """
        known = self._known.get(tower)
        if known is None:
            return [None] * len(features)
        directions = functional.normalize(features, dim=1)
        return torch.stack([_p_values(directions, one) for one in known]).amax(dim=0).tolist()


def _nearest_other(features: Tensor, rows: Tensor) -> Tensor:
    """Cosines ``[len(rows)]`` of the items at ``rows`` to the nearest other one."""
    cosines = features[rows] @ features.T
    cosines[torch.arange(len(rows)), rows] = -torch.inf
    return cosines.amax(dim=1)


def _p_values(directions: Tensor, known: _Known) -> Tensor:
    nearest = (directions @ known.features.T).amax(dim=1)
    no_more_like = torch.searchsorted(known.nearest, nearest, right=True)
    return (1 + no_more_like) / (1 + len(known.nearest))
