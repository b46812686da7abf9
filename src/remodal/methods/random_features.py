"""What methods share that regress the classes on random features of a tower's frozen ones.

Not a method itself. The scores are ``h . weights`` with ``h = ReLU((u - centre) W)``: u are an item's frozen features,
the centre is the mean of the tower's first task, W is drawn once, from the seed. How the weights are found is the
method's own, and W and what stands for the ReLU may be.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, TypeVar

from pydantic import Field
from torch import Generator, Tensor

from remodal.backbones import Backbone, Tokens, Tower
from remodal.methods.base import State, TaskData
from remodal.methods.parts import TowerMethod, placed
from remodal.settings import Settings
from remodal.streams.base import Column
from remodal.training.seeding import generator, normal
from remodal.training.trainer import Trainer


class RandomFeaturesSettings(Settings):
    """What can be set of each of them."""

    width: int = Field(3000, ge=1, le=20_000, description="random features")


@dataclass
class Weighted:
    """centre: ``[features]``, subtracted before the projection. weights: ``[width, classes]``."""

    columns: list[Column]
    centre: Tensor
    weights: Tensor


Part = TypeVar("Part", bound=Weighted)


class RandomFeatures(TowerMethod[Part]):
    """One regression a tower."""

    options: ClassVar[type[Settings]] = RandomFeaturesSettings
    settings: RandomFeaturesSettings
    frozen_alone = True

    def __init__(self, backbone: Backbone, settings: Settings, seed: int) -> None:
        super().__init__(backbone, settings, seed)
        self._projections: dict[tuple[str, int], Tensor] = {}

    def width(self, tower: Tower, task: TaskData, trainer: Trainer) -> int:
        """Number of random features of a tower whose first task is ``task``."""
        return self.settings.width

    def part_scores(self, part: Part, tower: Tower, tokens: Tokens, columns: Sequence[Column]) -> Tensor:
        """``h . weights``; NaN for classes that were not learned."""
        # a tower's centre and width stay as its first task made them
        lifted = tower.remembered(tokens, part.centre, lambda: self.inputs(part, tower, tokens))
        return placed(lifted @ part.weights, part.columns, columns)

    def restore(self, state: State) -> None:
        """Take on what :meth:`state` gave; ValueError where it is wider than the settings say."""
        super().restore(state)
        most = self.settings.width
        for part in self.parts_.values():
            if len(part.weights) > most:  # W would be drawn as wide
                raise ValueError(f"weights of {len(part.weights):,} random features; valid: at most width={most:,}")

    def inputs(self, part: Part, tower: Tower, tokens: Tokens) -> Tensor:
        """What the weights take of items: their random features ``[n, width]``."""
        return self.lifted(tower, tower.features(tokens), part.centre, len(part.weights))

    def lifted(self, tower: Tower, features: Tensor, centre: Tensor, width: int) -> Tensor:
        """Random features ``[n, width]`` of features ``[n, feature_width]``."""
        if (tower.name, width) not in self._projections:
            draws = generator(self.seed, "ridge", tower.name)  # as the first of these methods named it: saved models
            self._projections[tower.name, width] = self.drawn(tower, width, draws)
        return self.activated((features - centre) @ self._projections[tower.name, width])

    def drawn(self, tower: Tower, width: int, draws: Generator) -> Tensor:
        """W ``[features, width]``: standard normal numbers."""
        return normal(tower.feature_width, width, draws=draws)

    def activated(self, projected: Tensor) -> Tensor:
        """What is made of ``(u - centre) W`` ``[n, width]``: without what is negative."""
        return projected.relu()

    def trainable_parameters(self) -> int:
        """The regressions' weights."""
        return sum(part.weights.numel() for part in self.parts_.values())
