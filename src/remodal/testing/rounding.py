"""Another machine's rounding on this one: what a GPU, or another number of threads, may change, and how much."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from remodal.training.seeding import generator

ATEN = torch.ops.aten
SUMS = (
    *(ATEN.mm, ATEN.bmm, ATEN.addmm, ATEN.baddbmm, ATEN.mv, ATEN.dot, ATEN.sum, ATEN.mean),
    *(ATEN.linalg_vector_norm, ATEN._softmax, ATEN._log_softmax),
)
"""Operations whose last bits depend on the order in which they add."""


class OtherRounding(TorchDispatchMode):
    """Within the block, forward and backward, sums are rounded otherwise.

    Each number that a sum gives moves by a random share of its dtype's precision, and eigenvectors have a random sign,
    as another solver might give them. seed: of these.

    >>> rows = torch.rand(3, 40)
    >>> with OtherRounding(seed=0):
    ...     other = rows @ rows.T
    >>> torch.equal(rows @ rows.T, other), torch.allclose(rows @ rows.T, other)
    (False, True)
    """

    def __init__(self, seed: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._draws = generator(seed, "rounding")

    def __torch_dispatch__(self, operation: Any, types: Any, arguments: Any = (), named: Any = None) -> Any:
        """What the operation gives, rounded otherwise."""
        found, of = operation(*arguments, **(named or {})), operation.overloadpacket
        if of is ATEN._linalg_eigh:
            values, vectors = found
            signs = torch.randint(0, 2, values.shape, generator=self._draws) * 2 - 1
            return values, vectors * signs[..., None, :]
        if of in SUMS and isinstance(found, Tensor) and found.is_floating_point():
            shares = torch.randn(found.shape, generator=self._draws, dtype=found.dtype)
            return found * (1 + torch.finfo(found.dtype).eps * shares)
        return found
