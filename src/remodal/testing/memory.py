"""How many bytes a method holds: in what it saves, and in what hangs on it as an object."""

from __future__ import annotations

import gc
from types import FunctionType, ModuleType
from typing import Any

import numpy as np
from torch import Tensor

from remodal.methods.base import Method, State


def saved_bytes(state: State) -> int:
    """Bytes of a state's tensors and values; a number counts 8, whatever its digits."""
    return sum(tensor.nbytes for tensor in state.tensors.values()) + _json_bytes(state.values)


def _json_bytes(value: Any) -> int:
    if isinstance(value, dict):
        return sum(len(name) + _json_bytes(one) for name, one in value.items())
    if isinstance(value, list | tuple):
        return sum(map(_json_bytes, value))
    return len(value) if isinstance(value, str) else 8


def held_bytes(method: Method) -> int:
    """Bytes of all tensors' storages, arrays and bytes that are reachable from ``method``, its backbone's too."""
    sizes: dict[int, int] = {}
    reached: set[int] = set()
    left: list[Any] = [vars(method)]
    while left:
        one = left.pop()
        if id(one) in reached or isinstance(one, type | ModuleType | FunctionType):
            continue
        reached.add(id(one))
        if isinstance(one, Tensor):
            sizes[one.untyped_storage().data_ptr()] = one.untyped_storage().nbytes()
        elif isinstance(one, np.ndarray | bytes):
            sizes[id(one)] = one.nbytes if isinstance(one, np.ndarray) else len(one)
        left.extend(gc.get_referents(one))
    return sum(sizes.values())
