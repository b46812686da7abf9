"""Several processes share a batch: its gradient must not depend on how many they are."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from remodal.testing.candidate import SEED, Candidate
from remodal.testing.checks.check import CLOSE, check, expect, five_tasks
from remodal.training.parallel import Alone
from remodal.training.trainer import Trainer

PROCESSES = 3


class _Compared(Alone):
    """Learns alone, and computes beside it what several processes would find together."""

    longest = 0.0
    """Length of a gradient, up to here: late ones are rounding, where a loss has come to its end."""

    def gradients(self, loss: Callable[[Tensor], Tensor], leaves: Sequence[Tensor], batch: Tensor) -> Tensor:
        shares = [share for share in batch.tensor_split(PROCESSES) if len(share)]
        summed = [torch.zeros_like(leaf) for leaf in leaves]
        for share in shares:
            of_share = torch.autograd.grad(loss(share), leaves, allow_unused=True, materialize_grads=True)
            summed = [one + own * (len(share) / len(batch)) for one, own in zip(summed, of_share, strict=True)]
        value = super().gradients(loss, leaves, batch)
        whole = [torch.zeros_like(leaf) if leaf.grad is None else leaf.grad for leaf in leaves]
        self.longest = max(self.longest, *(float(one.norm()) for one in whole))
        difference = max(float((one - other).norm()) for one, other in zip(summed, whole, strict=True))
        expect(
            difference <= CLOSE * self.longest,
            f"a gradient {difference:.2g} apart where {len(shares)} processes share a batch of a `divisible` stage",
            "the gradient of the whole batch: a loss that is a mean over the batch's items",
        )
        return value


@check
def shares_batches(candidate: Candidate) -> None:
    """A batch that several processes divide among them teaches what it teaches one."""
    method = candidate.new()
    for task in five_tasks().tasks:
        method.learn(task.train, Trainer(SEED, task.train.index, team=_Compared()))
