"""A device that isn't there: its tensors hold real numbers, and refuse to be mixed with those of the CPU.

So a machine without a GPU can tell whether a computation would run on one. The device bears the name of torch's
``meta``, which any torch knows; what torch would compute on it is computed on the CPU, and what a GPU would refuse is
refused: an operation on tensors of both (but for numbers without a dimension, and positions, where torch takes those),
a CPU's generator for a tensor elsewhere, NumPy. What a real device lacks isn't seen (``float64`` on ``mps``), and
neither is what it computes otherwise.

>>> with elsewhere() as device:
...     torch.ones(2, device=device) + torch.ones(2)
Traceback (most recent call last):
...
remodal.testing.elsewhere.Mixed: aten.add.Tensor: found a tensor of shape (2,) on the CPU beside one elsewhere
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any, cast
from unittest.mock import patch

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode, return_and_correct_aliasing
from torch.utils._pytree import tree_leaves, tree_map

from remodal.backbones.tower import FRAMES

DEVICE = torch.device("meta")
CPU = torch.device("cpu")
MOVES = (torch.ops.aten._to_copy.default, torch.ops.aten.copy_.default)
INDEXING = (torch.ops.aten.index.Tensor, torch.ops.aten.index_put.default, torch.ops.aten.index_put_.default)
"""Their second argument, the positions, may be on the CPU."""


class Mixed(RuntimeError):
    """Tensors of two devices in one operation."""


@contextmanager
def elsewhere() -> Iterator[torch.device]:
    """The device, for the block that is given it; towers compute there as they do on a CPU."""
    with patch.dict(FRAMES, {DEVICE.type: FRAMES["cpu"]}), _Dispatch(), _Functions():  # type: ignore[no-untyped-call]
        yield DEVICE


class _There(Tensor):
    """A tensor elsewhere. held: its numbers, on the CPU."""

    held: Tensor
    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]

    @staticmethod
    def __new__(cls, held: Tensor) -> _There:
        strided: dict[str, Any] = {"dtype": held.dtype, "layout": held.layout, "device": DEVICE}
        if held.layout is torch.strided:
            strided |= {"strides": held.stride(), "storage_offset": held.storage_offset()}
        made: Any = Tensor._make_wrapper_subclass(cls, held.shape, **strided)
        made.held = held
        return cast(_There, made)

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]
        cls, operation: Any, types: Any, arguments: Any = (), named: Any = None
    ) -> Any:
        return _computed(operation, arguments, named or {})


class _Dispatch(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Every operation, those that make tensors too."""

    def __torch_dispatch__(self, operation: Any, types: Any, arguments: Any = (), named: Any = None) -> Any:
        with self:
            parts = operation.decompose(*arguments, **(named or {}))  # of what torch takes apart anyway
        return _computed(operation, arguments, named or {}) if parts is NotImplemented else parts


class _Functions(TorchFunctionMode):
    """What torch does without an operation: lists of numbers become tensors, and tensors lists."""

    def __torch_function__(self, function: Any, types: Any, arguments: Any = (), named: Any = None) -> Any:
        named = dict(named or {})
        if function is Tensor.tolist:
            return arguments[0].cpu().tolist()
        if function in (torch.tensor, torch.as_tensor, Tensor.new_tensor):
            own = arguments[0].device if function is Tensor.new_tensor else torch.get_default_device()
            device = named.pop("device", None) or own
            return function(*arguments, **named, device=CPU).to(device)
        if function in (Tensor.__getitem__, Tensor.__setitem__):
            index = arguments[1] if isinstance(arguments[1], tuple) else (arguments[1],)
            made = (torch.tensor(one, device=CPU) if isinstance(one, list) else one for one in index)
            arguments = (arguments[0], tuple(made), *arguments[2:])
        return function(*arguments, **named)


def _computed(operation: Any, arguments: Any, named: Any) -> Any:
    asked = named.get("device")
    if operation in MOVES:
        there = (asked or arguments[0].device) == DEVICE
    else:
        there = asked == DEVICE or (asked is None and _is_there((arguments, named)))
        _refuse_mixed(operation, arguments, named, there)
    held, held_named = tree_map(_held, arguments), tree_map(_held, named)
    if not there:
        return operation(*held, **held_named)
    # a tensor that is made in inference mode can be no view of one that is not
    with torch.inference_mode(False) if torch.is_inference_mode_enabled() else nullcontext():
        found = tree_map(lambda one: _There(one) if isinstance(one, Tensor) else one, operation(*held, **held_named))
        return return_and_correct_aliasing(operation, arguments, named, found)  # type: ignore[no-untyped-call]


def _refuse_mixed(operation: Any, arguments: Any, named: Any, there: bool) -> None:
    together = (arguments[0], *arguments[2:], named) if operation in INDEXING else (arguments, named)
    for one in tree_leaves(together):
        if there and isinstance(one, torch.Generator):
            raise Mixed(f"{operation}: found a CPU's generator for a tensor elsewhere")
        if isinstance(one, Tensor) and one.device == DEVICE and not isinstance(one, _There):
            raise NotImplementedError(f"{operation}: found a tensor elsewhere that torch made without its numbers")
        taken = isinstance(one, Tensor) and not one.dim() and torch.Tag.pointwise in operation.tags
        if there and isinstance(one, Tensor) and one.device == CPU and not taken:
            shape = tuple(one.shape)
            raise Mixed(f"{operation}: found a tensor of shape {shape} on the CPU beside one elsewhere")


def _is_there(tree: Any) -> bool:
    return any(isinstance(one, _There) for one in tree_leaves(tree))


def _held(one: Any) -> Any:
    """What the CPU computes with in place of ``one``."""
    if isinstance(one, torch.device):
        return CPU
    return one.held if isinstance(one, _There) else one
