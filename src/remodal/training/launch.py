"""What a launcher has told this process: how many there are, which GPU is its own, how it reaches the others."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta

import torch

from remodal.backbones import Engine
from remodal.errors import RemodalError, in_one_line, installed_with
from remodal.training.parallel import ALONE, Processes, Team

PATIENCE = timedelta(days=1)
"""How long a process waits for the others: the first one measures while they wait. One that ends is noticed at once."""


def launched() -> int:
    """How many processes a launcher (``accelerate launch``, ``torchrun``) has started for this run; 1: none has."""
    return int(os.environ.get("WORLD_SIZE", "1")) if "LOCAL_RANK" in os.environ else 1


def own_engine(engine: Engine) -> Engine:
    """``engine`` on this process's own device: of several processes each takes the GPU of its place on the machine.

    Raises RemodalError where one GPU is named for several processes, or there are fewer GPUs than processes.
    """
    if launched() == 1 or engine.device.type != "cuda":
        return engine
    if engine.device.index is not None:
        raise RemodalError(f"found --device {engine.device} for {launched()} processes; valid: cuda, a GPU for each")
    processes, there = int(os.environ["LOCAL_WORLD_SIZE"]), torch.cuda.device_count()
    if processes > there:
        raise RemodalError(f"found {processes} processes for {there} GPUs of this machine; valid: one a GPU at most")
    return replace(engine, device=torch.device("cuda", int(os.environ["LOCAL_RANK"])))


@contextmanager
def joined(engine: Engine) -> Iterator[Team]:
    """This process among those that a launcher has started; alone where none has.

    engine: :func:`own_engine`'s; on GPUs the processes talk over NCCL, otherwise over Gloo.
    """
    if launched() == 1:
        yield ALONE
        return
    with installed_with("accelerate"):
        from accelerate import PartialState
    from torch.distributed import PrefixStore  # type: ignore[attr-defined]  # mypy doesn't see that it is exported
    from torch.distributed.rendezvous import rendezvous

    on_gpus = engine.device.type == "cuda"
    with in_one_line("the processes of this run can't reach each other"):
        store, rank, size = next(rendezvous("env://"))
        # launchers keep the store when they start processes again: these must not find the addresses of those before
        anew = PrefixStore(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0"), store)
        state = PartialState(cpu=not on_gpus, timeout=PATIENCE, store=anew, rank=rank, world_size=size)
    team = Processes(engine.device if on_gpus else torch.device("cpu"))
    yield team
    team.wait()  # NCCL wants all processes of a machine to leave together
    state.destroy_process_group()
