"""A method under test: made anew as often as a check needs it, and as small as the toy stream is."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from typing import Self

import torch
from torch import Tensor

from remodal.backbones import Backbone, Tokens
from remodal.learning.evaluate import score
from remodal.learning.prepare import PreparedStream, PreparedTask
from remodal.methods.base import Method, State
from remodal.settings import Settings
from remodal.streams.base import Column
from remodal.testing.toy import ToyBackbone
from remodal.training.trainer import Trainer

SEED = 0
QUICK: Mapping[str, int | float] = {
    "learning_rate": 0.1, "*epochs": 3, "steps": 9, "batch": 8, "*_steps": 12, "*_draws": 64,
    "width": 64, "rank": 4, "directions": 4,
}  # fmt: skip
"""Settings by the pattern of their name: few and large steps, narrow layers."""


@dataclass(frozen=True)
class Candidate:
    """A method's class and the settings that it is tried with."""

    method: type[Method]
    settings: Settings

    @classmethod
    def of(cls, method: type[Method], settings: Mapping[str, object] | None = None) -> Self:
        """``method`` with quick settings, but for those given in ``settings``."""
        return cls(method, method.options.checked({**_quick(method.options), **(settings or {})}))

    @property
    def name(self) -> str:
        """The class's."""
        return self.method.__name__

    def new(self, backbone: Backbone | None = None) -> Method:
        """A method that has learned nothing, on a backbone of its own."""
        return self.method(backbone or ToyBackbone(), self.settings, SEED)

    def learned(self, tasks: Sequence[PreparedTask]) -> Method:
        """A method that has learned ``tasks``."""
        method = self.new()
        learn(method, tasks)
        return method

    def restored(self, state: State) -> Method:
        """A method that has taken on a copy of ``state``."""
        method = self.new()
        method.restore(copied(state))
        return method


def _quick(options: type[Settings]) -> dict[str, object]:
    """The quick values of those settings that ``options`` has, with a default of the same type or none."""
    return {
        name: value
        for name, field in options.model_fields.items()
        for pattern, value in QUICK.items()
        if fnmatch(name, pattern) and (field.default is None or type(field.default) is type(value))
    }


def learn(method: Method, tasks: Iterable[PreparedTask]) -> None:
    """Learn ``tasks`` one after the other."""
    for task in tasks:
        method.learn(task.train, Trainer(SEED, task.train.index))


def columns_of(stream: PreparedStream) -> list[Column]:
    """All classes of the stream as candidates."""
    return list(dict.fromkeys(column for task in stream.tasks for column in task.columns))


def scores_of(method: Method, tokens: Tokens, columns: Sequence[Column]) -> Tensor:
    """Scores as an evaluation asks for them: without gradients."""
    with torch.inference_mode():
        return method.scores(tokens, columns)


def held_out_scores(method: Method, stream: PreparedStream) -> Tensor:
    """Scores of all held-out items among all classes of the stream, through the evaluator."""
    return torch.cat([score(method, task, columns_of(stream)) for task in stream.tasks])


def apart(one: Tensor, other: Tensor, relative: bool = False) -> float:
    """The largest difference of two arrays of scores; infinite where one is NaN or infinite and the other is not so.

    relative: scores above 1 are compared relative to their size.
    """
    if one.shape != other.shape:
        return torch.inf
    equal = (one == other) | (one.isnan() & other.isnan())
    difference = (one - other).abs() / (other.abs().clamp(min=1) if relative else 1)
    return float(difference.nan_to_num(nan=torch.inf).masked_fill(equal, 0).max())


def copied(state: State) -> State:
    """A copy that shares nothing with ``state``."""
    return State({name: tensor.clone() for name, tensor in state.tensors.items()}, json.loads(json.dumps(state.values)))


def same(one: State, other: State) -> bool:
    """Whether two states are equal, bit for bit."""
    return (
        json.dumps(one.values) == json.dumps(other.values)
        and one.tensors.keys() == other.tensors.keys()
        and all(
            tensor.dtype == other.tensors[name].dtype and torch.equal(tensor, other.tensors[name])
            for name, tensor in one.tensors.items()
        )
    )
