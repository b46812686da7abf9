"""MoE-Adapters: low-rank experts that tasks share, a router a task, and an autoencoder a task to find it again.

Yu et al., "Boosting continual learning of vision-language models via mixture-of-experts adapters", CVPR 2024. A task's
router weighs the experts for an item (softmax over the ``top`` best); after the task the experts that it used most are
frozen. For an item of no known task, the router of the task whose autoencoder rebuilds its frozen features best is
taken (DDAS).

Deviations: adapters sit after the frozen features, as maps of low rank to the text space, instead of in every layer;
the autoencoder is linear, that is, the principal directions of the task's features; all experts are trainable again
where a task would find all of them frozen.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional

from remodal.adaptation.rows import Rows, mean
from remodal.adaptation.selectors import Subspace
from remodal.backbones import Tokens, Tower
from remodal.methods.base import TaskData, methods
from remodal.methods.sessions import SessionMethod
from remodal.settings import Settings
from remodal.streams.base import Column
from remodal.training.seeding import normal
from remodal.training.trainer import Parameters, Recipe, Trainer


class MoeAdaptersSettings(Settings):
    """Settings of ``moe-adapters``."""

    experts: int = Field(22, ge=1, le=1_000, description="that all tasks of a tower share")
    top: int = Field(2, ge=1, le=1_000, description="experts that an item uses")
    rank: int = Field(32, ge=1, le=4_000, description="of an expert's map")
    directions: int = Field(16, ge=1, le=4_000, description="principal directions that tell a task")
    learning_rate: float = Field(1e-3, gt=0, description="of experts and routers")
    steps: int = Field(1000, ge=1, le=1_000_000, description="of a task")
    batch: int = Field(64, ge=1, le=100_000, description="items a step")


@dataclass
class Session:
    """What is kept of a task. router: ``[experts, features]``."""

    columns: list[Column]
    router: Tensor
    selector: Subspace

    @classmethod
    def earlier(cls, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        """Before the directions had a class of their own."""
        return {f"selector/{name}" if name in ("mean", "directions") else name: one for name, one in tensors.items()}


@dataclass
class Experts:
    """down: ``[experts, rank, features]``; up: ``[experts, d, rank]``; idle: 1 for an expert that no task froze."""

    down: Tensor
    up: Tensor
    idle: Tensor
    sessions: list[Session]


@methods.add("moe-adapters")
class MoeAdapters(SessionMethod[Experts]):
    """Experts of each tower."""

    options = MoeAdaptersSettings
    settings: MoeAdaptersSettings
    part = Experts
    frozen_alone = True

    def fresh(self, tower: Tower, task: TaskData, trainer: Trainer) -> Experts:
        """Experts that change nothing."""
        chosen, draws = self.settings, trainer.generator("experts")
        down = normal(chosen.experts, chosen.rank, tower.feature_width, draws=draws)
        up = torch.zeros(chosen.experts, self.backbone.width, chosen.rank)
        return Experts(down / tower.feature_width**0.5, up, torch.ones(chosen.experts), [])

    def learned(self, part: Experts, tower: Tower, task: TaskData, trainer: Trainer) -> Experts:
        """Train idle experts and a router of the task's own, then freeze what it uses most."""
        chosen = self.settings
        features = Rows(task.tokens, tower.features)
        idle = (part.idle if part.idle.any() else torch.ones_like(part.idle))[:, None, None]

        def experts(parameters: Parameters) -> tuple[Tensor, Tensor]:
            down, up = parameters["down"], parameters["up"]
            return torch.addcmul(part.down, idle, down), torch.addcmul(part.up, idle, up)

        def embedded(parameters: Parameters, batch: Tensor) -> Tensor:
            return self._embedded(tower, features[batch], parameters["router"], *experts(parameters))

        draws = trainer.generator("router")
        start = {
            "down": torch.zeros_like(part.down),
            "up": torch.zeros_like(part.up),
            "router": 0.1 * normal(chosen.experts, tower.feature_width, draws=draws),
        }
        recipe = Recipe(chosen.learning_rate, chosen.steps, chosen.batch)
        trained = self.lesson(task).fit("experts", start, embedded, recipe, trainer)
        weights = Rows(task.tokens, lambda tokens: self._weights(tower.features(tokens), trained["router"]))
        used = mean(weights).topk(min(chosen.top, chosen.experts)).indices
        selector = Subspace.of(Rows(task.tokens, tower.identity), chosen.directions)
        session = Session(list(task.columns), trained["router"], selector)
        frozen = idle[:, 0, 0].index_fill(0, used, 0.0)
        return Experts(*experts(trained), frozen, [*part.sessions, session])

    def _weights(self, features: Tensor, router: Tensor) -> Tensor:
        """``[n, experts]``: softmax over the best few, 0 for the others."""
        logits = features @ router.T
        top = min(self.settings.top, logits.shape[1])
        least = logits.topk(top, dim=1).values[:, -1:]
        return logits.masked_fill(logits < least, -torch.inf).softmax(1)

    def _embedded(self, tower: Tower, features: Tensor, router: Tensor, down: Tensor, up: Tensor) -> Tensor:
        """``normalise(align(u) + sum_e weight_e U_e D_e u)`` ``[n, d]``."""
        # plain products of matrices, whose gradients need no copies: two thirds of the einsums' time
        inner = functional.linear(features, down.flatten(0, 1)).view(-1, *down.shape[:2])
        weighted = (inner * self._weights(features, router)[:, :, None]).flatten(1)
        return functional.normalize(tower.align(features) + weighted @ up.transpose(1, 2).flatten(0, 1), dim=-1)

    def embedded(self, part: Experts, session: Session, fit: Tensor, tower: Tower, tokens: Tokens) -> Tensor:
        """With the weights of the task's router."""
        return self._embedded(tower, tower.features(tokens), session.router, part.down, part.up)
