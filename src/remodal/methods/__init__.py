"""Methods that learn a stream: one readable file each, registered under their name."""

from __future__ import annotations

from remodal.methods import (
    bofa,
    cmcl,
    coda_prompt,
    comm,
    diki,
    dualprompt,
    engine,
    fecam,
    finetune,
    first_session,
    fly_cl,
    gda_names,
    joint,
    l2p,
    loranpac,
    mg_clip,
    moe_adapters,
    nearest_mean,
    pathweave,
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
    "Method", "State", "TaskData", "bofa", "cmcl", "coda_prompt", "comm", "diki", "dualprompt", "engine", "fecam",
    "finetune", "first_session", "fly_cl", "gda_names", "joint", "l2p", "left_out", "loranpac", "methods", "mg_clip",
    "moe_adapters", "nearest_mean", "pathweave", "per_modality", "ranpac", "rapf", "remodal", "ridge", "s_prompts",
    "slca", "zero_shot",
]  # fmt: skip

left_out = load_installed(methods)
"""Packages of methods that can't be used, and why."""
