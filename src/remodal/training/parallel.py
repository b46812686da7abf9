"""Data parallel: several processes that train as one.

Every process runs the same program from the same seed. A mini-batch whose loss is a mean over its items is divided:
each process computes the gradient of its share, the shares are summed (all-reduce), and all take the step that the
whole batch asks for. The first process decides, reads and writes; the others follow it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

import torch
from torch import Tensor, distributed

from remodal.errors import in_one_line

ENDED = "another process of this run has ended; the same command goes on with --resume; found by process"


class Team(Protocol):
    """The processes that train together, as one of them sees them.

    rank: of this process, from 0, among ``size``. local_rank, local_size: among those of this machine.
    """

    rank: int
    size: int
    local_rank: int
    local_size: int

    def gradients(self, loss: Callable[[Tensor], Tensor], leaves: Sequence[Tensor], batch: Tensor) -> Tensor:
        """Leave the gradient of ``loss(batch)``, a mean over the batch's items, in ``leaves``; the loss, detached."""

    def told(self, words: bytes) -> bytes:
        """What the first process says, in each of them; at least one byte."""

    def take(self, tensors: Iterable[Tensor]) -> None:
        """Make ``tensors`` what they are in the first process, in place."""

    def wait(self) -> None:
        """Until all processes have come here."""


class Alone:
    """One process: nothing is divided, and nobody waits."""

    rank, size, local_rank, local_size = 0, 1, 0, 1

    def gradients(self, loss: Callable[[Tensor], Tensor], leaves: Sequence[Tensor], batch: Tensor) -> Tensor:
        """Of the whole batch."""
        value = loss(batch)
        value.backward()  # type: ignore[no-untyped-call]
        return value.detach()

    def told(self, words: bytes) -> bytes:
        """Its own words."""
        return words

    def take(self, tensors: Iterable[Tensor]) -> None:
        """They stay as they are."""

    def wait(self) -> None:
        """For nobody."""


ALONE = Alone()


class Processes:
    """Those of ``torch.distributed``'s process group. device: where what they send each other has to be.

    Each call raises RemodalError where another process has ended.
    """

    def __init__(self, device: torch.device) -> None:
        self.rank, self.size = distributed.get_rank(), distributed.get_world_size()
        self.local_rank, self.local_size = int(os.environ["LOCAL_RANK"]), int(os.environ["LOCAL_WORLD_SIZE"])
        self._device = device

    def gradients(self, loss: Callable[[Tensor], Tensor], leaves: Sequence[Tensor], batch: Tensor) -> Tensor:
        """Of this process's share of the batch, weighted by its size and summed over all processes."""
        share, value = batch.tensor_split(self.size)[self.rank], torch.zeros((), device=leaves[0].device)
        if len(share):
            value = loss(share) * (len(share) / len(batch))
            value.backward()  # type: ignore[no-untyped-call]
        own = [torch.zeros_like(leaf) if leaf.grad is None else leaf.grad for leaf in leaves]
        flat = torch.cat([one.detach().flatten() for one in (value, *own)])
        with self._together():
            distributed.all_reduce(flat)
        total, *summed = torch.split(flat, [1, *(leaf.numel() for leaf in leaves)])
        for leaf, gradient in zip(leaves, summed, strict=True):
            leaf.grad = gradient.view_as(leaf)
        return total[0]

    def told(self, words: bytes) -> bytes:
        """As many bytes as there are are sent before them."""
        length = torch.tensor([len(words)], device=self._device)
        with self._together():
            distributed.broadcast(length, src=0)
            sent = torch.empty(int(length), dtype=torch.uint8, device=self._device)
            if self.rank == 0:
                sent.copy_(torch.frombuffer(bytearray(words), dtype=torch.uint8))
            distributed.broadcast(sent, src=0)
        return sent.cpu().numpy().tobytes()

    @torch.no_grad()
    def take(self, tensors: Iterable[Tensor]) -> None:
        """One broadcast a tensor."""
        for tensor in tensors:
            sent = tensor.detach().to(self._device).contiguous()
            with self._together():
                distributed.broadcast(sent, src=0)
            tensor.copy_(sent)

    def wait(self) -> None:
        """A barrier."""
        with self._together():
            distributed.barrier()

    @contextmanager
    def _together(self) -> Iterator[None]:
        with in_one_line(f"{ENDED} {self.rank} (of {self.size})"):
            yield
