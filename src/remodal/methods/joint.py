"""Joint training: all items seen so far, at once. The upper bound.

Every task's items are kept, and the modality of the new task is trained again from the start on all of them: prompts
and adapter as in ``comm``'s own training step, then the adapter again on the *real* features where ``comm`` has only
pseudo-features. The router is ``comm``'s, fitted to all items. It is what ``comm`` would be if nothing had to be
remembered, so it shares every piece with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import torch
from pydantic import Field
from torch import Generator, Tensor

from remodal.adaptation.adapt import Adapted, adapt
from remodal.adaptation.prompts import fresh_prompts
from remodal.adaptation.realign import Anchors, realign
from remodal.adaptation.routed import Expert, routed_scores
from remodal.adaptation.router import Router
from remodal.adaptation.statistics import ClassStatistics, leading, orthonormal
from remodal.backbones import Backbone, Tokens, Tower
from remodal.methods.base import Method, State, TaskData, methods
from remodal.settings import Settings
from remodal.streams.base import Column
from remodal.training.trainer import Recipe, Trainer

IDENTITY_RANK = 64
BATCH = 512


class JointSettings(Settings):
    """Settings of ``joint``."""

    prompt_length: int = Field(8, ge=1, description="keys and values a layer")
    learning_rate: float = Field(1e-3, gt=0, description="of the prompts")
    epochs: int = Field(3, ge=1, description="passes over all items of the modality")
    batch: int = Field(64, ge=1, description="items a step")
    rank: int = Field(1024, ge=1, description="directions of the real features in which the adapter is fitted")
    realign_steps: int = Field(60, ge=1, description="steps of the adapter's last fit")


@dataclass
class _Kept:
    """All items of a modality."""

    tokens: Tokens
    labels: Tensor
    classes: list[str]
    identity: ClassStatistics


@methods.add("joint")
class Joint(Method):
    """Keeps everything, and refits the new task's modality after each task."""

    options = JointSettings

    def __init__(self, backbone: Backbone, settings: Settings, seed: int) -> None:
        super().__init__(backbone, settings, seed)
        self.chosen = cast(JointSettings, settings)
        self.kept_: dict[str, _Kept] = {}
        self.experts_: dict[str, Expert] = {}
        self.routers_ = {name: Router(tower.identity_width) for name, tower in backbone.towers.items()}

    def learn(self, task: TaskData, trainer: Trainer) -> None:
        """Keep the task's items, then train its modality and the router on all there is."""
        tower = self.backbone.tower(task.modality)
        kept = self._keep(task, tower)
        anchors = self.backbone.anchors(kept.classes)
        scale = self.backbone.logit_scale
        recipe = Recipe(self.chosen.learning_rate, self.chosen.epochs, self.chosen.batch)
        start = Adapted(
            fresh_prompts(tower, self.chosen.prompt_length, trainer.generator("prompts")),
            torch.zeros(self.backbone.width, tower.feature_width),
        )
        learned = adapt(tower, kept.tokens, kept.labels, anchors, start, scale, recipe, trainer)
        features = tower.features(kept.tokens, learned.prompts)
        basis = orthonormal(leading(features, self.chosen.rank))
        inside = features @ basis

        def draw(draws: Generator) -> tuple[Tensor, Tensor]:
            chosen = torch.randint(len(inside), (BATCH,), generator=draws)
            return inside[chosen], kept.labels[chosen]

        names = list(dict.fromkeys(name for one in self.kept_.values() for name in one.classes))
        position = torch.tensor([names.index(name) for name in kept.classes])
        seen = Anchors(anchors, self.backbone.anchors(names), position)
        adapter = realign(tower, basis, draw, seen, scale, self.chosen.realign_steps, trainer)
        self.experts_[task.modality] = Expert(learned.prompts, adapter, 1.0)
        modalities = [name for name in self.kept_ if self.backbone.reads[name] == tower.name]
        self.routers_[tower.name].train([self.kept_[name].identity for name in modalities], modalities, trainer)

    def _keep(self, task: TaskData, tower: Tower) -> _Kept:
        kept = self.kept_.get(task.modality)
        if kept is None:
            statistics = ClassStatistics(tower.identity_width, IDENTITY_RANK)
            kept = _Kept(task.tokens, task.labels, list(task.classes), statistics)
        else:
            kept.classes = list(dict.fromkeys([*kept.classes, *task.classes]))
            labels = torch.tensor([kept.classes.index(name) for name in task.classes])[task.labels]
            kept.tokens = Tokens.concat([kept.tokens, task.tokens])
            kept.labels = torch.cat([kept.labels, labels])
        kept.identity.add(tower.identity(task.tokens), task.labels, task.classes)
        self.kept_[task.modality] = kept
        return kept

    def scores(self, tokens: Tokens, columns: Sequence[Column]) -> Tensor:
        """As ``comm``: the router's modality, the modality's own classes."""
        return routed_scores(self.backbone, self.routers_[tokens.tower], self.experts_, tokens, columns)

    def trainable_parameters(self) -> int:
        """Prompts and adapter of one modality, and the routers."""
        largest = max((one.prompts.numel() + one.adapter.numel() for one in self.experts_.values()), default=0)
        return largest + sum(router.weight.numel() + router.bias.numel() for router in self.routers_.values())

    def state(self) -> State:
        """Every item's tokens and what was trained on them."""
        state = State(values={"modalities": {}})
        for name, kept in self.kept_.items():
            expert = self.experts_[name]
            state.put(name, {"prompts": expert.prompts, "adapter": expert.adapter, "labels": kept.labels})
            state.put(f"{name}/tokens", {"frames": kept.tokens.frames, "lengths": kept.tokens.lengths})
            identity, classes = kept.identity.state()
            state.put(f"{name}/identity", identity)
            values = {"tower": kept.tokens.tower, "classes": kept.classes, "identity": classes}
            state.values["modalities"][name] = values
        for name, router in self.routers_.items():
            state.put(f"router/{name}", {"weight": router.weight, "bias": router.bias})
        state.values["routers"] = {name: router.modalities for name, router in self.routers_.items()}
        return state

    def restore(self, state: State) -> None:
        """Take on what :meth:`state` gave."""
        self.kept_, self.experts_ = {}, {}
        for name, values in state.values["modalities"].items():
            stored = state.under(name)
            tokens = Tokens(values["tower"], **state.under(f"{name}/tokens"))
            identity = ClassStatistics.from_state(state.under(f"{name}/identity"), values["identity"], IDENTITY_RANK)
            self.kept_[name] = _Kept(tokens, stored["labels"], values["classes"], identity)
            self.experts_[name] = Expert(stored["prompts"], stored["adapter"], 1.0)
        for name, known in state.values["routers"].items():
            stored, router = state.under(f"router/{name}"), self.routers_[name]
            router.modalities, router.weight, router.bias = list(known), stored["weight"], stored["bias"]
