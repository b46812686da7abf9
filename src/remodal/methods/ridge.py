"""Random features and ridge regression, as RanPAC.

McDonnell et al., "RanPAC: Random projections and pre-trained models for continual learning", NeurIPS 2023:
``h = ReLU(u W)`` with W drawn once, ``G += H^T H``, ``Q += H^T Y``, scores ``h (G + strength I)^-1 Q``; the strength is
chosen on a fifth of the task's items held out. Statistics only: exact under any order, nothing to forget.

Deviations: one regression a tower over all its modalities' classes (features of two towers differ in width); the frozen
features are centred by the first task's mean before the projection, which a ReLU needs when features are far from 0;
the first phase of the paper (an adapter on the first task) is left out, as in its "no PETL" rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from pydantic import Field
from torch import Tensor

from remodal.adaptation.ridge import StreamingRidge
from remodal.adaptation.routed import readable
from remodal.backbones import Backbone, Tokens, Tower
from remodal.methods.base import Method, State, TaskData, methods
from remodal.settings import Settings
from remodal.streams.base import Column
from remodal.training.seeding import generator
from remodal.training.trainer import Trainer

STRENGTHS = tuple(10.0**power for power in range(-5, 2))
HELD_OUT = 5
"""One item in this many chooses the strength."""


class RidgeSettings(Settings):
    """Settings of ``ridge``."""

    width: int = Field(2000, ge=1, description="random features")


class _Regression:
    """The moments of one tower."""

    def __init__(self, tower: Tower, width: int, seed: int) -> None:
        draws = generator(seed, "ridge", tower.name)
        self.projection = torch.randn(tower.feature_width, width, generator=draws)
        self.centre = torch.zeros(tower.feature_width)
        self.columns: list[Column] = []
        self.moments = StreamingRidge(width)
        self.strength = STRENGTHS[0]
        self.weights = torch.zeros(width, 0)

    def lift(self, features: Tensor) -> Tensor:
        """``ReLU(u W)`` of centred features, ``[n, width]``."""
        return ((features - self.centre) @ self.projection).relu()


@methods.add("ridge")
class Ridge(Method):
    """One streaming ridge regression a tower."""

    options = RidgeSettings

    def __init__(self, backbone: Backbone, settings: Settings, seed: int) -> None:
        super().__init__(backbone, settings, seed)
        self.chosen = cast(RidgeSettings, settings)
        self.towers_: dict[str, _Regression] = {}

    def learn(self, task: TaskData, trainer: Trainer) -> None:
        """Add the task's moments and solve again."""
        tower = self.backbone.tower(task.modality)
        features = tower.features(task.tokens)
        if tower.name not in self.towers_:
            self.towers_[tower.name] = _Regression(tower, self.chosen.width, self.seed)
            self.towers_[tower.name].centre = features.mean(0)
        regression = self.towers_[tower.name]
        known = list(dict.fromkeys([*regression.columns, *task.columns]))
        regression.columns = known
        labels = torch.tensor([known.index(column) for column in task.columns])[task.labels]
        lifted = regression.lift(features)
        held_out = torch.randperm(len(lifted), generator=trainer.generator("held-out")) % HELD_OUT == 0
        regression.moments.add(lifted[~held_out], labels[~held_out], len(known))
        if held_out.any():
            regression.strength = _best_strength(regression.moments, lifted[held_out], labels[held_out])
            regression.moments.add(lifted[held_out], labels[held_out], len(known))
        regression.weights = regression.moments.solve(regression.strength)

    def scores(self, tokens: Tokens, columns: Sequence[Column]) -> Tensor:
        """``h . weights``; NaN for classes that were not learned."""
        scores = torch.full((len(tokens), len(columns)), torch.nan)
        scores[:, ~readable(tokens, columns, self.backbone)] = -torch.inf
        regression = self.towers_.get(tokens.tower)
        if regression is None:
            return scores
        lifted = regression.lift(self.backbone.towers[tokens.tower].features(tokens)) @ regression.weights
        for index, column in enumerate(columns):
            if column in regression.columns:
                scores[:, index] = lifted[:, regression.columns.index(column)]
        return scores

    def trainable_parameters(self) -> int:
        """The regressions' weights."""
        return sum(regression.weights.numel() for regression in self.towers_.values())

    def state(self) -> State:
        """Moments, centre and strength by tower; the projection comes again from the seed."""
        state = State(values={"towers": {}})
        for name, one in self.towers_.items():
            moments = {"gram": one.moments.gram, "cross": one.moments.cross}
            state.put(name, {"centre": one.centre, "weights": one.weights, **moments})
            columns = [list(column) for column in one.columns]
            state.values["towers"][name] = {"columns": columns, "strength": one.strength}
        return state

    def restore(self, state: State) -> None:
        """Take on what :meth:`state` gave."""
        self.towers_ = {}
        for name, values in state.values["towers"].items():
            one = _Regression(self.backbone.towers[name], self.chosen.width, self.seed)
            stored = state.under(name)
            one.centre, one.weights = stored["centre"], stored["weights"]
            one.moments.gram, one.moments.cross = stored["gram"], stored["cross"]
            one.columns = [Column(*column) for column in values["columns"]]
            one.strength = values["strength"]
            self.towers_[name] = one


def _best_strength(moments: StreamingRidge, lifted: Tensor, labels: Tensor) -> float:
    """The penalty whose regression errs least (squared error) on held-out items."""
    targets = torch.nn.functional.one_hot(labels, moments.cross.shape[1]).float()
    errors = [float(((lifted @ moments.solve(strength) - targets) ** 2).mean()) for strength in STRENGTHS]
    return STRENGTHS[errors.index(min(errors))]
