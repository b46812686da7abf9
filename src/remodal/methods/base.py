"""The contract of a method, and what it is given.

A method sees tokens, labels, class anchors (through the backbone) and, while it learns, the task's modality. It never
sees files, decoders, the cache or test items.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import wraps
from typing import Any, ClassVar, TypeVar

import torch
from torch import Tensor

from remodal.adaptation.columns import joined
from remodal.adaptation.lesson import Lesson
from remodal.backbones import CHUNK, Backbone, Tokens, Tower
from remodal.backbones.tokens import chunks
from remodal.registry import Registry
from remodal.settings import Settings
from remodal.streams.base import Column
from remodal.training.trainer import Trainer


@dataclass(frozen=True)
class TaskData:
    """What a method learns from at one go: a task, or a part of one, or items of several tasks of a tower.

    index: how many came before it. columns: the classes of its items; some may have come before. labels: int64 ``[n]``,
    positions in ``columns``.
    """

    index: int
    columns: tuple[Column, ...]
    tokens: Tokens
    labels: Tensor

    @property
    def modality(self) -> str:
        """Of all its classes; ValueError where they are of several, which no task of a stream is."""
        (only,) = {column.modality for column in self.columns}
        return only

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of its classes."""
        return tuple(column.name for column in self.columns)

    def among(self, known: Sequence[Column]) -> tuple[list[Column], Tensor]:
        """``known`` and the classes that are new, in their order; and the labels as positions in them, ``[n]``."""
        columns, places = joined(known, self.columns)
        return columns, places.to(self.labels.device)[self.labels]

    def part(self, rows: Tensor | slice) -> TaskData:
        """The items at these positions, and the classes that there are items of."""
        there, labels = torch.unique(self.labels[rows], return_inverse=True)
        return replace(
            self, columns=tuple(self.columns[at] for at in there.tolist()), tokens=self.tokens[rows], labels=labels
        )

    def chunks(self, most: int = CHUNK) -> list[slice]:
        """Positions of the items, at most ``most`` at a time; each chunk is spread over the whole task."""
        return chunks(len(self.labels), most)


@dataclass
class State:
    """A method's learned state as plain data: tensors by name, and JSON-like values by name."""

    tensors: dict[str, Tensor] = field(default_factory=dict)
    values: dict[str, Any] = field(default_factory=dict)

    def put(self, prefix: str, tensors: dict[str, Tensor]) -> None:
        """Add tensors under ``prefix/``."""
        self.tensors.update({f"{prefix}/{name}": tensor for name, tensor in tensors.items()})

    def on(self, device: torch.device) -> State:
        """With its tensors on ``device``."""
        return State({name: tensor.to(device) for name, tensor in self.tensors.items()}, self.values)

    def under(self, prefix: str) -> dict[str, Tensor]:
        """The tensors that were put under ``prefix/``."""
        start = f"{prefix}/"
        return {name[len(start) :]: value for name, value in self.tensors.items() if name.startswith(start)}


Call = TypeVar("Call", bound=Callable[..., Any])


def at_home(call: Call) -> Call:
    """A method's function whose new tensors are made where the backbone's features are."""

    @wraps(call)
    def placed(self: Method, *arguments: Any, **named: Any) -> Any:
        made = call.__name__ == "__init__"
        backbone: Backbone = (named.get("backbone") or arguments[0]) if made else self.backbone
        home = backbone.engine.home
        if home.type == "cpu":
            return call(self, *arguments, **named)
        with home:
            return call(self, *(one.on(home) if isinstance(one, State) else one for one in arguments), **named)

    return placed  # type: ignore[return-value]


class Method(ABC):
    """Learns tasks one after the other and scores classes.

    backbone: the frozen model. settings: an instance of the class's ``Settings``. seed: the run's.

    A method is written as if there were one device: while it is made, learns, scores or restores a state, tensors that
    it makes without naming a device are made where the features are, and a state's are taken there.
    """

    def __init_subclass__(cls, **named: Any) -> None:
        super().__init_subclass__(**named)
        for name in {"__init__", "learn", "scores", "strangeness", "restore"} & set(vars(cls)):
            setattr(cls, name, at_home(vars(cls)[name]))

    options: ClassVar[type[Settings]] = Settings
    """What can be set, with defaults."""
    keeps_items: ClassVar[bool] = False
    """Whether tasks' items are stored, so that memory grows with every item."""
    grows_with_tasks: ClassVar[bool] = False
    """Whether something is stored of each task (a prompt, a router), so that memory grows where classes come again."""
    learns_modalities_apart: ClassVar[bool] = True
    """Whether learning one modality leaves what was learned of the others as it is."""
    frozen_alone: ClassVar[bool] = False
    """Whether nothing is ever asked of items but their frozen features, so that no others need to be stored."""

    def __init__(self, backbone: Backbone, settings: Settings, seed: int) -> None:
        self.backbone, self.settings, self.seed = backbone, settings, seed

    @classmethod
    def needs_tokens(cls, settings: Settings, tower: Tower) -> bool:
        """Whether, with these settings, more is asked of the items that ``tower`` reads than their frozen features.

        That is features under prompts, or the frames themselves. Who says no finds :attr:`Tokens.has_frames` false
        where the encoder keeps features, and is refused the rest. By default what the class says, whatever the tower.
        """
        return not cls.frozen_alone

    @abstractmethod
    def learn(self, task: TaskData, trainer: Trainer) -> None:
        """Learn one task; its items are not to be kept unless the method says so.

        Learning that is broken off, by Ctrl-C or an error, leaves the method as it was: what is kept is assigned last.
        """

    @abstractmethod
    def scores(self, tokens: Tokens, columns: Sequence[Column]) -> Tensor:
        """One number a candidate, ``[n, len(columns)]``: higher is likelier, comparable within a row.

        columns: at least one, each once, in any order; any classes, of one modality or of several, learned or not.

        -inf where the candidate's modality is read by another tower; NaN in the columns that the method can't score
        (a class it has not learned and can't know by its name); both whichever other candidates are asked for. A
        softmax over a row gives the probabilities that a user is told. An item's row depends on the item alone.

        A method may normalise over the candidates of a modality that are asked for. So a row's scores of the learned
        classes of a modality may all be higher or lower by one number than when other candidates are asked for too, and
        so may its scores of classes that were not learned: the order within a modality is the same, and which modality
        comes first may not be.
        """

    def strangeness(self, tokens: Tokens, modality: str) -> Tensor | None:
        """How unlike what was learned of a modality items look, ``[n, 2]``, higher where they are more so.

        How little speaks for any of its classes, and how far the items are from those that were learned, each on a
        scale of its own. An item's row depends on the item alone. None where a method doesn't tell, as by default.
        modality: one that was learned.
        """
        return None

    @abstractmethod
    def state(self) -> State:
        """All that was learned; a snapshot, which learning on does not change."""

    @abstractmethod
    def restore(self, state: State) -> None:
        """Take on what :meth:`state` gave."""

    def lesson(self, task: TaskData) -> Lesson:
        """The task, to be learned by gradient: its items shall come to the text anchors of their classes.

        Classes of one name, in several modalities, have one anchor.
        """
        places = {name: at for at, name in enumerate(dict.fromkeys(task.classes))}
        labels = torch.tensor([places[name] for name in task.classes], device=task.labels.device)[task.labels]
        tower, anchors = self.backbone.towers[task.tokens.tower], self.backbone.anchors(list(places))
        return Lesson(tower, task.tokens, labels, anchors, self.backbone.logit_scale)

    def trainable_parameters(self) -> int:
        """Numbers that gradients or statistics fit for one task's modality; by default all that is stored."""
        return sum(tensor.numel() for tensor in self.state().tensors.values())


def readable(tokens: Tokens, columns: Sequence[Column], backbone: Backbone) -> Tensor:
    """Which candidates are of a modality that the tokens' tower reads, bool ``[len(columns)]``."""
    return torch.tensor([backbone.reads.get(column.modality) == tokens.tower for column in columns], dtype=torch.bool)


methods = Registry[type[Method]]("method")
"""All methods by name."""
