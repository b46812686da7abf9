"""Methods whose learned state is one dataclass a tower or a modality, and how such a dataclass becomes plain data."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any, ClassVar, Generic, TypeVar, get_args, get_type_hints

import torch
from torch import Generator, Tensor
from torch.nn import functional

from remodal.adaptation.alignment import aligned
from remodal.adaptation.rows import Rows, mean
from remodal.backbones import CHUNK, Backbone, Tokens, Tower
from remodal.methods.base import Method, State, TaskData, readable
from remodal.settings import Settings
from remodal.streams.base import Column
from remodal.training.seeding import shuffled
from remodal.training.trainer import Trainer

Part = TypeVar("Part")

HELD_OUT = 5
"""One item in this many is held out where a method chooses by a part of a task."""


def packed(part: Any) -> State:
    """A dataclass's fields: tensors by name; dataclasses and lists of them below their name; the rest as values."""
    state = State()
    for field in fields(part):
        value = getattr(part, field.name)
        if isinstance(value, Tensor):
            state.tensors[field.name] = value
        elif is_dataclass(value):
            inner = packed(value)
            state.put(field.name, inner.tensors)
            state.values[field.name] = inner.values
        elif isinstance(value, list) and value and is_dataclass(value[0]):
            listed = [packed(one) for one in value]
            for index, one in enumerate(listed):
                state.put(f"{field.name}/{index}", one.tensors)
            state.values[field.name] = [one.values for one in listed]
        elif isinstance(value, list):
            state.values[field.name] = [list(one) if isinstance(one, tuple) else one for one in value]
        else:
            state.values[field.name] = value
    return state


def unpacked(kind: type[Part], state: State) -> Part:
    """The dataclass of type ``kind`` that :func:`packed` gave ``state`` of.

    Where the fields of ``kind`` were others in earlier versions, its ``earlier(tensors)`` makes them what they are now.
    """
    values: dict[str, Any] = {}
    if earlier := getattr(kind, "earlier", None):
        state = State(earlier(state.tensors), state.values)
    for name, hint in get_type_hints(kind).items():
        element = get_args(hint)[0] if get_args(hint) else None
        if name in state.tensors:
            values[name] = state.tensors[name]
        elif is_dataclass(hint):
            values[name] = unpacked(hint, State(state.under(name), state.values.get(name, {})))  # type: ignore[arg-type]
        elif is_dataclass(element):
            listed = enumerate(state.values[name])
            values[name] = [unpacked(element, State(state.under(f"{name}/{i}"), one)) for i, one in listed]  # type: ignore[arg-type]
        elif element is Column:
            values[name] = [Column(*one) for one in state.values[name]]
        else:
            values[name] = state.values[name]
    return kind(**values)


def put_parts(state: State, kind: str, parts: Mapping[str, Any]) -> None:
    """Add dataclasses by name to ``state``, under ``kind``."""
    state.values[kind] = {}
    for name, part in parts.items():
        inner = packed(part)
        state.put(f"{kind}/{name}", inner.tensors)
        state.values[kind][name] = inner.values


def taken_parts(state: State, kind: str, of: type[Part]) -> dict[str, Part]:
    """The dataclasses that :func:`put_parts` added."""
    named = state.values[kind].items()
    return {name: unpacked(of, State(state.under(f"{kind}/{name}"), values)) for name, values in named}


class PartsMethod(Method, Generic[Part]):
    """A method whose learned state is ``parts_``, by tower or by modality."""

    part: ClassVar[type[Any]]
    """The dataclass."""

    def __init__(self, backbone: Backbone, settings: Settings, seed: int) -> None:
        super().__init__(backbone, settings, seed)
        self.parts_: dict[str, Part] = {}

    def state(self) -> State:
        """Every part's fields."""
        state = State()
        put_parts(state, "parts", self.parts_)
        return state

    def restore(self, state: State) -> None:
        """Take on what :meth:`state` gave."""
        self.parts_ = taken_parts(state, "parts", self.part)


class TowerMethod(PartsMethod[Part]):
    """One part a tower, over the classes of all modalities that the tower reads: no modality is ever asked for."""

    learns_modalities_apart = False

    def learn(self, task: TaskData, trainer: Trainer) -> None:
        """Learn the task with the part of its tower."""
        tower = self.backbone.towers[task.tokens.tower]
        part = self.parts_[tower.name] if tower.name in self.parts_ else self.fresh(tower, task, trainer)
        self.parts_[tower.name] = self.learned(part, tower, task, trainer)

    def scores(self, tokens: Tokens, columns: Sequence[Column]) -> Tensor:
        """What the tower's part says of its candidates."""
        own = readable(tokens, columns, self.backbone)
        scores = torch.full((len(tokens), len(columns)), -torch.inf)
        asked = [column for column, mine in zip(columns, own, strict=True) if mine]
        if asked:
            tower, part = self.backbone.towers[tokens.tower], self.parts_.get(tokens.tower)
            if part is None:
                scores[:, own] = self.unlearned_scores(tower, tokens, asked)
            else:
                scores[:, own] = self.part_scores(part, tower, tokens, asked)
        return scores

    @abstractmethod
    def fresh(self, tower: Tower, task: TaskData, trainer: Trainer) -> Part:
        """A part that has learned nothing; ``task`` is the first one."""

    @abstractmethod
    def learned(self, part: Part, tower: Tower, task: TaskData, trainer: Trainer) -> Part:
        """The part after ``task``."""

    @abstractmethod
    def part_scores(self, part: Part, tower: Tower, tokens: Tokens, columns: Sequence[Column]) -> Tensor:
        """``[n, len(columns)]`` for candidates of this tower; NaN where they can't be scored."""

    def unlearned_scores(self, tower: Tower, tokens: Tokens, columns: Sequence[Column]) -> Tensor:
        """The same where the tower has learned nothing: NaN, unless a method knows classes by their names."""
        return torch.full((len(tokens), len(columns)), torch.nan)


def placed(scores: Tensor, known: Sequence[Column], asked: Sequence[Column]) -> Tensor:
    """Columns ``known`` of ``scores [n, len(known)]`` put where ``asked`` asks for them; NaN for others."""
    out = scores.new_full((len(scores), len(asked)), torch.nan)
    at = {column: index for index, column in enumerate(known)}
    there = [index for index, column in enumerate(asked) if column in at]
    out[:, there] = scores[:, [at[asked[index]] for index in there]]
    return out


def frozen_logits(backbone: Backbone, tower: Tower, tokens: Tokens, columns: Sequence[Column]) -> Tensor:
    """What the frozen model says of classes by their names: ``scale * z . anchor`` ``[n, len(columns)]``."""
    return backbone.logits(aligned(tower, None, tower.features(tokens)), [column.name for column in columns])


def held_out(items: int, draws: Generator) -> tuple[Tensor, Tensor]:
    """Positions of ``items`` items that are learned from, and of those on which something is chosen meanwhile.

    An item that is alone is learned from.
    """
    order = shuffled(items, draws) % HELD_OUT if items > 1 else torch.ones(items)
    return (order != 0).nonzero()[:, 0], (order == 0).nonzero()[:, 0]


def mean_features(tower: Tower, task: TaskData) -> Tensor:
    """Mean of the frozen features of a task's items ``[feature_width]``."""
    return mean(Rows(task.tokens, tower.features))


def of_unit_length(tower: Tower, tokens: Tokens) -> Tensor:
    """Frozen features ``[n, width]``, L2-normalised."""
    return functional.normalize(tower.features(tokens), dim=-1)


def wrong(before: Sequence[int], answers: Callable[[Tensor], Tensor], labels: Tensor, rows: Tensor) -> list[int]:
    """``before``, and how many of the items at ``rows`` each of several ways to answer gets wrong.

    answers: (positions of items) -> positions of the classes that they are taken for, ``[ways, items]``. labels: of all
    items.
    """
    new = torch.stack([(answers(some) != labels[some]).sum(1) for some in torch.split(rows, CHUNK)]).sum(0)
    return [old + more for old, more in zip(before, new.tolist(), strict=True)]
