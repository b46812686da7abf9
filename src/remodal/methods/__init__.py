"""Methods that learn a stream: one readable file each, registered under their name."""

from __future__ import annotations

from remodal.methods import comm, finetune, joint, nearest_mean, ridge, zero_shot
from remodal.methods.base import Method, State, TaskData, methods

__all__ = [
    "Method", "State", "TaskData", "comm", "finetune", "joint", "methods", "nearest_mean", "ridge",
    "zero_shot",
]  # fmt: skip
