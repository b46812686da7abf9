"""Joint training: all items seen so far, at once. The upper bound.

Every task's items are kept, and the modality of the new task is trained again from the start on all of them: prompts
and adapter by cross-entropy over all classes of the modality, statistics of the features under these prompts, the
head fitted to them. It is what ``comm`` would be if nothing had to be remembered (no old prompts to hold to, no
drifted statistics), and shares every piece with it, so that the difference between the two is what remembering costs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
from pydantic import Field
from torch import Tensor

from remodal.adaptation.adapt import adapt, frozen
from remodal.adaptation.realign import Anchors, pseudo_draw, realign
from remodal.adaptation.routed import Expert
from remodal.adaptation.statistics import ClassStatistics
from remodal.backbones import Backbone, Tokens
from remodal.methods.base import State, TaskData, methods
from remodal.methods.routed import RoutedMethod
from remodal.settings import Settings
from remodal.training.trainer import Recipe, Trainer


class JointSettings(Settings):
    """Settings of ``joint``."""

    prompt_length: int = Field(8, ge=1, description="keys and values a layer")
    learning_rate: float = Field(1e-3, gt=0, description="of the prompts")
    epochs: int = Field(3, ge=1, description="passes over all items of the modality")
    batch: int = Field(64, ge=1, description="items a step")
    rank: int = Field(128, ge=1, description="directions of the shared covariance")
    realign_draws: int = Field(256, ge=1, description="pseudo-features in a step of the head's fit")
    realign_steps: int = Field(60, ge=1, description="steps of the head's fit")


@dataclass
class _Kept:
    """All items of a modality."""

    tokens: Tokens
    labels: Tensor
    classes: list[str]


@methods.add("joint")
class Joint(RoutedMethod):
    """Keeps everything, and refits the new task's modality after each task."""

    options = JointSettings
    keeps_items = True

    def __init__(self, backbone: Backbone, settings: Settings, seed: int) -> None:
        super().__init__(backbone, settings, seed)
        self.chosen = cast(JointSettings, settings)
        self.kept_: dict[str, _Kept] = {}
        self.experts_: dict[str, Expert] = {}

    def learn(self, task: TaskData, trainer: Trainer) -> None:
        """Keep the task's items, then train its modality and the router on all there is."""
        tower = self.backbone.tower(task.modality)
        kept = self._keep(task)
        names = (name for one in self.kept_.values() for name in one.classes)
        anchors = Anchors.of(self.backbone, kept.classes, names)
        scale = self.backbone.logit_scale
        recipe = Recipe(self.chosen.learning_rate, self.chosen.epochs, self.chosen.batch)
        start = frozen(tower, self.backbone.width, self.chosen.prompt_length, trainer)
        learned = adapt(tower, kept.tokens, kept.labels, anchors.own, start, scale, recipe, trainer)
        statistics = ClassStatistics(tower.feature_width, self.chosen.rank)
        statistics.add(tower.features(kept.tokens, learned.prompts), kept.labels, kept.classes)
        basis = statistics.basis()
        draw = pseudo_draw(statistics, basis, self.chosen.realign_draws)
        adapter = realign(tower, basis, draw, anchors, scale, self.chosen.realign_steps, trainer)
        self.experts_[task.modality] = Expert(learned.prompts, adapter, 1.0)
        self.learn_identity(task, tower.identity(task.tokens), trainer)

    def _keep(self, task: TaskData) -> _Kept:
        kept = self.kept_.get(task.modality)
        if kept is None:
            kept = _Kept(task.tokens, task.labels, list(task.classes))
        else:
            kept.classes = list(dict.fromkeys([*kept.classes, *task.classes]))
            labels = torch.tensor([kept.classes.index(name) for name in task.classes])[task.labels]
            kept.tokens = Tokens.concat([kept.tokens, task.tokens])
            kept.labels = torch.cat([kept.labels, labels])
        self.kept_[task.modality] = kept
        return kept

    def experts(self) -> dict[str, Expert]:
        """One a modality."""
        return self.experts_

    def state(self) -> State:
        """Every item's tokens and what was trained on them."""
        state = State(values={"modalities": {}})
        for name, kept in self.kept_.items():
            expert = self.experts_[name]
            state.put(name, {"prompts": expert.prompts, "adapter": expert.adapter, "labels": kept.labels})
            state.put(f"{name}/tokens", {"frames": kept.tokens.frames, "lengths": kept.tokens.lengths})
            state.values["modalities"][name] = {"tower": kept.tokens.tower, "classes": kept.classes}
        self.put_routing(state)
        return state

    def restore(self, state: State) -> None:
        """Take on what :meth:`state` gave."""
        self.kept_, self.experts_ = {}, {}
        for name, values in state.values["modalities"].items():
            stored = state.under(name)
            tokens = Tokens(values["tower"], **state.under(f"{name}/tokens"))
            self.kept_[name] = _Kept(tokens, stored["labels"], values["classes"])
            self.experts_[name] = Expert(stored["prompts"], stored["adapter"], 1.0)
        self.take_routing(state)
