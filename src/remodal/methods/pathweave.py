"""PathWeave: an adapter a modality, woven of its own and those of the modalities before it.

Yu et al., "LLMs can evolve continually on modality for omni-modal reasoning", NeurIPS 2024. A new modality trains an
adapter of its own beside the adapters of the modalities before, which are frozen, each with a new linear map F in its
bottleneck (an adapter in an adapter), and a gate g that weighs all of them for an item: ``sum_j g_j U_j F_j D_j x +
g_own U D x``. So a modality takes what helps it from the others, and changes nothing of theirs.

Deviations: the adapters lie after the frozen features (x are these after layer normalisation, as the paper's adapters
take theirs) as maps of low rank to the text space, instead of in the layers of a Q-Former; the gate is a softmax over
all (the paper: over the best few, with noise); F starts at the identity, and a new adapter at zero. A modality that
comes again trains its own adapter, F and the gate on; it keeps the others' as they were when it came first, so that
their later tasks don't change it. A step is larger and there are fewer of them, by the same factor (the paper: 40,000
of rate 1e-5). Where the modality isn't given, the router that all methods here share finds it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional

from remodal.adaptation.rows import Rows
from remodal.backbones import Tokens, Tower
from remodal.methods.base import TaskData, methods
from remodal.methods.routed import RoutedMethod
from remodal.settings import Settings
from remodal.training.seeding import normal
from remodal.training.trainer import Parameters, Recipe, Trainer


class PathweaveSettings(Settings):
    """Settings of ``pathweave``."""

    rank: int = Field(8, ge=1, le=4_000, description="of an adapter: width of its bottleneck")
    learning_rate: float = Field(1e-3, gt=0, description="of adapters and gate")
    weight_decay: float = Field(0.05, ge=0, description="of adapters and gate")
    steps: int = Field(400, ge=1, le=1_000_000, description="of a task")
    batch: int = Field(64, ge=1, le=100_000, description="items a step")


@dataclass(frozen=True, eq=False)
class Woven:
    """A modality's adapters: k borrowed ones, and its own.

    down: ``[rank, features]``, up: ``[d, rank]``: D and U of its own. borrowed_down, borrowed_up: ``[k, rank,
    features]``, ``[k, d, rank]``, frozen. inner: F ``[k, rank, rank]``. gate: ``[k + 1, features]``, its own last.
    """

    down: Tensor
    up: Tensor
    borrowed_down: Tensor
    borrowed_up: Tensor
    inner: Tensor
    gate: Tensor

    @property
    def temperature(self) -> float:
        """Nothing is calibrated."""
        return 1.0

    @property
    def trained(self) -> Parameters:
        """What a task trains, by name."""
        return {"down": self.down, "up": self.up, "inner": self.inner, "gate": self.gate}

    def moved(self, to: Parameters) -> Woven:
        """These, with what a task trained."""
        return Woven(to["down"], to["up"], self.borrowed_down, self.borrowed_up, to["inner"], to["gate"])

    @property
    def parameters(self) -> int:
        """All but what is borrowed."""
        return sum(tensor.numel() for tensor in self.trained.values())

    def embedded(self, tower: Tower, tokens: Tokens) -> Tensor:
        """:meth:`mapped` of items."""
        return self.mapped(tower, tower.features(tokens))

    def mapped(self, tower: Tower, features: Tensor) -> Tensor:
        """``normalise(align(u) + sum_j g_j U_j F_j D_j x)`` ``[n, d]`` of frozen features u ``[n, features]``."""
        x = functional.layer_norm(features, features.shape[1:])
        shares = (x @ self.gate.T / x.shape[1] ** 0.5).softmax(1)
        inside = torch.einsum("nf,krf,ksr->nks", x, self.borrowed_down, self.inner)
        told = torch.einsum("nk,nks,kds->nd", shares[:, :-1], inside, self.borrowed_up)
        own = shares[:, -1:] * (x @ self.down.T @ self.up.T)
        return functional.normalize(tower.align(features) + told + own, dim=-1)


@methods.add("pathweave")
class Pathweave(RoutedMethod[Woven]):
    """Woven adapters of each modality."""

    options = PathweaveSettings
    settings: PathweaveSettings
    part = Woven
    frozen_alone = True

    def learned(self, part: Woven | None, task: TaskData, trainer: Trainer) -> Woven:
        """Train the modality's own adapter, and what it makes of the others'."""
        chosen, tower = self.settings, self.backbone.tower(task.modality)
        features = Rows(task.tokens, tower.features)
        before = part or self._new(tower, trainer)

        def mapped(parameters: Parameters, batch: Tensor) -> Tensor:
            return before.moved(parameters).mapped(tower, features[batch])

        recipe = Recipe(chosen.learning_rate, chosen.steps, chosen.batch, chosen.weight_decay)
        trained = self.lesson(task).fit("adapters", before.trained, mapped, recipe, trainer)
        return before.moved(trained)

    def experts(self) -> Mapping[str, Woven]:
        """One a modality."""
        return self.parts_

    def _new(self, tower: Tower, trainer: Trainer) -> Woven:
        """Adapters of a new modality, which borrows from all others that the tower reads."""
        rank, width, features = self.settings.rank, self.backbone.width, tower.feature_width
        others = [one for name, one in self.parts_.items() if self.backbone.reads[name] == tower.name]
        borrowed_down = torch.stack([torch.zeros(rank, features), *(one.down for one in others)])[1:]
        borrowed_up = torch.stack([torch.zeros(width, rank), *(one.up for one in others)])[1:]
        down = normal(rank, features, draws=trainer.generator("adapter")) / features**0.5
        inner, gate = torch.eye(rank).repeat(len(others), 1, 1), torch.zeros(len(others) + 1, features)
        return Woven(down, torch.zeros(width, rank), borrowed_down, borrowed_up, inner, gate)
