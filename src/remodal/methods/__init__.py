"""Methods that learn a stream: one readable file each, registered under their name."""

from __future__ import annotations

from importlib.metadata import entry_points

from remodal.methods import (
    cmcl,
    coda_prompt,
    comm,
    diki,
    dualprompt,
    fecam,
    finetune,
    joint,
    l2p,
    moe_adapters,
    nearest_mean,
    per_modality,
    ranpac,
    rapf,
    remodal,
    ridge,
    s_prompts,
    slca,
    zero_shot,
)
from remodal.methods.base import Method, State, TaskData, methods

__all__ = [
    "Method", "State", "TaskData", "cmcl", "coda_prompt", "comm", "diki", "dualprompt", "fecam", "finetune", "joint",
    "l2p", "methods", "moe_adapters", "nearest_mean", "per_modality", "ranpac", "rapf", "remodal", "ridge", "s_prompts",
    "slca", "zero_shot",
]  # fmt: skip

for _installed in entry_points(group="remodal.methods"):
    _installed.load()  # a method of another package's registers itself as it is imported
