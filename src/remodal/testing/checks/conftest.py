"""An honest method, to be broken in one way each for the tests of the checks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from remodal.backbones import Backbone, Tokens
from remodal.methods.base import Method, State, TaskData, readable
from remodal.settings import Settings
from remodal.streams.base import Column
from remodal.testing import CHECKS, Candidate
from remodal.training.trainer import Parameters, Recipe, Trainer


class Honest(Method):
    """Nearest class mean, with a bias for each class that is trained by gradient."""

    def __init__(self, backbone: Backbone, settings: Settings, seed: int) -> None:
        super().__init__(backbone, settings, seed)
        self.means: dict[Column, Tensor] = {}
        self.biases: dict[Column, Tensor] = {}

    def features(self, tokens: Tokens) -> Tensor:
        return functional.normalize(self.backbone.towers[tokens.tower].features(tokens), dim=-1)

    def learn(self, task: TaskData, trainer: Trainer) -> None:
        features = self.features(task.tokens)
        means = [features[task.labels == index].mean(0) for index in range(len(task.columns))]
        fixed = features @ torch.stack(means).T

        def loss(parameters: Parameters, batch: Tensor, _: torch.Generator) -> Tensor:
            return functional.cross_entropy(fixed[batch] + parameters["bias"], task.labels[batch])

        start = {"bias": torch.zeros(len(task.classes))}
        bias = trainer.fit("bias", start, loss, len(task.tokens), Recipe(0.01, 9, 8))["bias"]
        self.means.update(zip(task.columns, means))
        self.biases.update(zip(task.columns, bias))

    def scores(self, tokens: Tokens, columns: Sequence[Column]) -> Tensor:
        features = self.features(tokens)
        scores = torch.full((len(tokens), len(columns)), torch.nan)
        for index, column in enumerate(columns):
            if column in self.means and self.means[column].shape == features.shape[1:]:
                scores[:, index] = features @ self.means[column] + self.biases[column]
        return scores.masked_fill(~readable(tokens, columns, self.backbone), -torch.inf)

    def state(self) -> State:
        state = State(values={"columns": [list(column) for column in self.means]})
        state.put("means", {str(index): mean for index, mean in enumerate(self.means.values())})
        state.put("biases", {str(index): bias for index, bias in enumerate(self.biases.values())})
        return state

    def restore(self, state: State) -> None:
        columns = [Column(*column) for column in state.values["columns"]]
        means, biases = state.under("means"), state.under("biases")
        self.means = {column: means[str(index)] for index, column in enumerate(columns)}
        self.biases = {column: biases[str(index)] for index, column in enumerate(columns)}


@dataclass(frozen=True)
class Broken:
    """A method, the check that is meant to catch it, and words of the failure."""

    method: type[Method]
    check: str
    words: str

    def __str__(self) -> str:
        return self.method.__name__


BROKEN: list[Broken] = []
Breaks = TypeVar("Breaks", bound=type[Method])


def caught_by(check: str, words: str) -> Callable[[Breaks], Breaks]:
    """Note that ``check`` is meant to catch the class below."""

    def note(method: Breaks) -> Breaks:
        BROKEN.append(Broken(method, check, words))
        return method

    return note


def broken_in(module: str) -> list[Broken]:
    """The broken methods of one file."""
    return [broken for broken in BROKEN if broken.method.__module__ == module]


def assert_caught(broken: Broken) -> None:
    """The check fails, and says what it should."""
    with pytest.raises(AssertionError) as failure:
        CHECKS[broken.check](Candidate.of(broken.method))
    assert str(failure.value).startswith(f"{broken} fails {broken.check}: found ")
    assert broken.words in str(failure.value)
