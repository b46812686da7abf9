"""Whether a medium is like anything that a model has learned.

A probability says which of the known classes fits best, not whether any does: a photograph is no drawing, but a model
that knows drawings alone has to call it one. So each medium is also compared with the items that the model holds out
(:mod:`remodal.saved.held_out`): how unlike the classes of their modality does it look, and how many of them look no
less unlike? The second is a conformal p-value (Vovk et al., Algorithmic Learning in a Random World, 2005; as a test of
novelty: Laxhammar & Falkman, 2011).

How unlike the items of a modality a medium looks is a sum of two measures: how little speaks for any of its classes,
and how far the medium is. The first a method tells (:meth:`remodal.methods.base.Method.strangeness`); the second is the
mean of how far the method says that it is, and of how far the nearest held-out item is in frozen features (Sun et al.,
ICML 2022). Where a method doesn't tell, the nearest item alone says it. Each measure is taken less its mean over the
modality's held-out items, in their standard deviations. So modalities have one scale, and a medium is compared with
what is held out of all of them: where one has few items there are enough. What else was tried stands in
``docs/experiments.md``.

Deviation: a held-out item is compared with one item less than a medium is, in frozen features.
"""

from __future__ import annotations

from collections import defaultdict

import torch
from torch import Tensor
from torch.nn import functional

from remodal.backbones import CHUNK, Tokens
from remodal.methods.base import Method
from remodal.saved.held_out import HeldOut

SMALLEST = 1e-6
"""Standard deviation that a measure has at least."""


class Familiarity:
    """Of media, to a method as it is now and what is held out of what it learned; a medium's modality plays no part."""

    def __init__(self, held_out: HeldOut, method: Method) -> None:
        self._method = method
        self._known: dict[str, list[_Known]] = defaultdict(list)
        for modality, kept in held_out.kept.items():
            if len(kept.labels) > 1:
                self._known[kept.tokens.tower].append(_Known(method, modality, kept.tokens))
        everything = [one.held_out for known in self._known.values() for one in known]
        self._held_out = torch.cat(everything).sort().values if everything else torch.zeros(0).double()

    def __call__(self, tokens: Tokens) -> list[float | None]:
        """The p-value of each of some media, in the modality in which it is largest; None where nothing is held out."""
        if tokens.tower not in self._known:
            return [None] * len(tokens)
        directions = _directions(tokens, self._method)
        unlike = torch.stack([known.unlike(tokens, directions) for known in self._known[tokens.tower]]).amin(dim=0)
        no_less = len(self._held_out) - torch.searchsorted(self._held_out, unlike)
        return ((1 + no_less) / (1 + len(self._held_out))).tolist()


class _Known:
    """A modality of which items are held out. held_out: how unlike the others each of them looks ``[n]``."""

    def __init__(self, method: Method, modality: str, tokens: Tokens) -> None:
        self._method, self._modality = method, modality
        self._near = _directions(tokens, method)
        places = torch.split(torch.arange(len(tokens)), CHUNK)
        measures = torch.cat([self._measures(tokens[rows], self._near[rows], rows) for rows in places])
        self._mean, self._scale = measures.mean(0), measures.std(0).clamp(min=SMALLEST)
        self.held_out = self._together(measures)

    def unlike(self, tokens: Tokens, directions: Tensor) -> Tensor:
        """How unlike the modality's items media look ``[m]``. directions: of their features."""
        return self._together(self._measures(tokens, directions))

    def _measures(self, tokens: Tokens, directions: Tensor, own: Tensor | None = None) -> Tensor:
        """Double ``[m, 3]``, or ``[m, 1]`` where the method doesn't tell. own: where they stand themselves."""
        cosines = directions @ self._near.T
        if own is not None:
            cosines[torch.arange(len(own)), own] = -torch.inf
        far = -cosines.amax(dim=1, keepdim=True).double()
        told = self._method.strangeness(tokens, self._modality)
        return far if told is None else torch.cat([told.cpu().double(), far], dim=1)

    def _together(self, measures: Tensor) -> Tensor:
        standard = (measures - self._mean) / self._scale
        if standard.shape[1] == 1:
            return standard[:, 0]
        little, far, from_nearest = standard.unbind(1)
        return little + (far + from_nearest) / 2


def _directions(tokens: Tokens, method: Method) -> Tensor:
    """Frozen features ``[m, d]``, of length one, on the CPU."""
    return functional.normalize(method.backbone.towers[tokens.tower].features(tokens), dim=1).cpu()
