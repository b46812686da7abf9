"""Which items to label next: those whose labels would tell most about the items that a model doubts.

An item's label says something of the items near it. So the items are chosen one after the other, each time the one that
covers most doubt that nothing covers yet (the greedy choice for facility location: Nemhauser et al., Mathematical
Programming 14, 1978; as a way to choose items to learn from: Wei et al., ICML 2015). What is known already covers too.

    gain(c) = sum over items u of doubt(u) * max(0, near(u, c) - covered(u))
    near(u, c) = exp(-|u - c|^2 / s(u)),    s(u): squared distance of u to its fifth nearest item

Doubt is the share of wrong answers that the model expects, 1 - p(best class). Like k-center (Sener & Savarese, ICLR
2018, arXiv 1708.00489) it looks for variety, but for what many items are like in place of what none is like: an item
that lies alone tells of itself. Each item has its own scale, so that modalities, and towers, can be chosen from
together. What was tried beside it stands in ``docs/suggest.md``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

NEIGHBOURS = 5
"""Nearest items that say how far an item's neighbourhood goes."""
MOST = 8_000
"""Items of a tower that are compared with each other, the most doubted ones: a gigabyte at the most."""
SMALLEST = 1e-9
"""Squared distance that counts as none."""
INSIDE = math.exp(-1)
"""How near an item is at the end of a neighbourhood."""
CHUNK = 1_000


class Pool(NamedTuple):
    """Items that one tower has read. features: ``[n, d]``. doubt: ``[n]``, 0 to 1. known: features ``[m, d]`` of items
    whose labels the model knows; there may be none.
    """

    features: Tensor
    doubt: Tensor
    known: Tensor


class Choice(NamedTuple):
    """An item, by its pool and its place there. like: how many other items have it in their neighbourhood that no known
    and no earlier chosen one is as near to.
    """

    pool: int
    item: int
    like: int


def chosen(pools: Sequence[Pool], count: int) -> list[Choice]:
    """The ``count`` items to label first, best first; all of them where there are fewer."""
    covers = {at: _Cover(pool) for at, pool in enumerate(pools) if len(pool.doubt)}
    found: list[Choice] = []
    while len(found) < min(count, sum(len(cover.items) for cover in covers.values())):
        at = max(covers, key=lambda one: covers[one].gain)
        found.append(Choice(at, *covers[at].take()))
    return found


class _Cover:
    """What is covered of a pool. items: their places in it."""

    def __init__(self, pool: Pool) -> None:
        self.items = pool.doubt.topk(min(MOST, len(pool.doubt))).indices.sort().values
        self._doubt = pool.doubt[self.items].float()
        own, known = (functional.normalize(one.float(), dim=1) for one in (pool.features[self.items], pool.known))
        distance = _squared(own, own).fill_diagonal_(0)
        scale = distance.kthvalue(min(NEIGHBOURS + 1, len(own)), dim=1).values.clamp_(min=SMALLEST)
        nearest = [_squared(own, some).amin(1) for some in torch.split(known, CHUNK) if len(some)]
        self._covered = torch.stack([torch.exp(-one / scale) for one in nearest]).amax(0) if nearest else 0 * scale
        self._left = distance.div_(-scale[:, None]).exp_().sub_(self._covered[:, None]).clamp_(min=0)
        """What each item, a column, would add to the cover of each, a row."""
        self._taken = torch.zeros(len(own), dtype=torch.bool)
        self._look()

    def _look(self) -> None:
        gains = (self._doubt @ self._left).masked_fill(self._taken, -torch.inf)
        self._best = int(gains.argmax())
        self.gain = float(gains[self._best])

    def take(self) -> tuple[int, int]:
        """Take the item that covers most doubt; its place in the pool, and how many others have it near first."""
        best, added = self._best, self._left[:, self._best].clone()
        self._covered = self._covered + added
        like = int(((added > 0) & (self._covered >= INSIDE)).sum()) - int(added[best] > 0)
        self._left.sub_(added[:, None]).clamp_(min=0)
        self._taken[best] = True
        self._look()
        return int(self.items[best]), like


def _squared(some: Tensor, others: Tensor) -> Tensor:
    """Squared distances of features of length one, ``[n, m]``."""
    return (some @ others.T).mul_(-2).add_(2).clamp_(min=0)
