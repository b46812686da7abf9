"""Where frozen networks compute, and in which precision."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor, nn

from remodal.errors import RemodalError, UnknownName

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
CPU = torch.device("cpu")


@dataclass(frozen=True)
class Engine:
    """A device, and the precision of a network on it.

    dtype: of the layers; features and everything that is learned are float32 with each. A network that was made for one
    precision keeps it (``lite``). weightless: whether networks have shapes alone, and nothing is computed.

    With an NVIDIA GPU float32 is float32 from then on, in the whole process: torch would let convolutions round their
    factors to ten bits (TF32).

    >>> Engine.of("cpu", "bfloat16").dtype
    torch.bfloat16
    >>> Engine.of("cpu", "bfloat61")
    Traceback (most recent call last):
    ...
    remodal.errors.UnknownName: unknown dtype 'bfloat61'; did you mean 'bfloat16'? valid: bfloat16, float16, float32
    """

    device: torch.device = CPU
    dtype: torch.dtype = torch.float32
    weightless: bool = False

    @classmethod
    def of(cls, device: str = "cpu", dtype: str = "float32") -> Self:
        """By name; ``auto`` is the best device that is there.

        Raises UnknownName where a name isn't valid, or the device isn't there.
        """
        if dtype not in DTYPES:
            raise UnknownName("dtype", dtype, DTYPES)
        if device != "auto" and device not in devices():
            raise UnknownName("device", device, ["auto", *devices()])
        chosen = best_device() if device == "auto" else device
        if chosen == "cpu" and dtype == "float16":
            raise RemodalError("found dtype float16 on a CPU; valid there: float32, bfloat16")
        return cls(torch.device(chosen), DTYPES[dtype])

    def __post_init__(self) -> None:
        """See :meth:`of`."""
        if self.device.type == "cuda":
            torch.backends.cudnn.fp32_precision = "ieee"

    def __reduce__(self) -> tuple[Any, ...]:
        """Made anew where it is sent: what holds in a whole process has to be said in that one too."""
        return Engine, (self.device, self.dtype, self.weightless)

    @property
    def home(self) -> torch.device:
        """Where features go, and whatever is learned from them: statistics need float64, which ``mps`` doesn't have."""
        return torch.device("cpu") if self.device.type == "mps" else self.device

    @property
    def name(self) -> str:
        """The dtype's, as in ``DTYPES``."""
        return next(name for name, dtype in DTYPES.items() if dtype is self.dtype)

    @property
    def words(self) -> dict[str, str]:
        """Device, with its maker's name for it where there is one, and dtype: what the last bits of figures depend on.

        >>> Engine().words
        {'device': 'cpu', 'dtype': 'float32'}
        """
        made = f" ({torch.cuda.get_device_name(self.device)})" if self.device.type == "cuda" else ""
        return {"device": f"{self.device}{made}", "dtype": self.name}

    def placed(self, network: nn.Module) -> nn.Module:
        """The network on the device, frozen, in ``dtype``."""
        return network.to(self.device, self.dtype).eval().requires_grad_(False)

    def here(self, tensor: Tensor) -> Tensor:
        """``tensor`` on the device."""
        return _moved(tensor, self.device)

    def home_of(self, tensor: Tensor) -> Tensor:
        """``tensor`` where features go."""
        return _moved(tensor, self.home)

    @contextmanager
    def repeatable(self) -> Iterator[None]:
        """While the block runs, the same numbers give the same bits, also on an NVIDIA GPU, in the whole process.

        An operation of torch that has no such algorithm raises RuntimeError there.
        """
        memory: Any = torch.utils.deterministic
        before, filled = torch.get_deterministic_debug_mode(), memory.fill_uninitialized_memory
        if self.device.type == "cuda":
            os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS asks for it
            torch.set_deterministic_debug_mode("error")
            memory.fill_uninitialized_memory = False  # costs a kernel for each new tensor, and nothing here reads one
        try:
            yield
        finally:
            torch.set_deterministic_debug_mode(before)
            memory.fill_uninitialized_memory = filled


WEIGHTLESS = Engine(torch.device("meta"), weightless=True)
"""For who only prepares media for a backbone: it loads no weights, and can do nothing else."""


def _moved(tensor: Tensor, device: torch.device) -> Tensor:
    """Nobody waits for what goes to an NVIDIA GPU; what comes from one, or goes elsewhere, may be read at once."""
    return tensor.to(device, non_blocking=device.type == "cuda")


def devices() -> list[str]:
    """The devices that torch can compute on here."""
    found = ["cpu"]
    if torch.cuda.is_available():
        found += ["cuda", *(f"cuda:{index}" for index in range(torch.cuda.device_count()))]
    if torch.backends.mps.is_available():
        found.append("mps")
    return found


def best_device() -> str:
    """A GPU where there is one."""
    return next((name for name in ("cuda", "mps") if name in devices()), "cpu")
