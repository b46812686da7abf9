"""Methods that learn a stream: one readable file each, registered under their name."""

from __future__ import annotations

from remodal.methods import (
    cmcl,
    coda_prompt,
    comm,
    diki,
    dualprompt,
    fecam,
    finetune,
    fly_cl,
    gda_names,
    joint,
    l2p,
    loranpac,
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
from remodal.methods.installed import load_installed

__all__ = [
    "Method", "State", "TaskData", "cmcl", "coda_prompt", "comm", "diki", "dualprompt", "fecam", "finetune", "fly_cl",
    "gda_names", "joint", "l2p", "left_out", "loranpac", "methods", "moe_adapters", "nearest_mean", "per_modality",
    "ranpac", "rapf", "remodal", "ridge", "s_prompts", "slca", "zero_shot",
]  # fmt: skip

left_out = load_installed(methods)
"""Packages of methods that can't be used, and why."""
