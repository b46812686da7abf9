"""Prompts of its own for each modality, trained on after task: what knowing the modality is worth.

The oracle of the aware setting: nothing of one modality is overwritten by another, but within a modality nothing is
held back either. Where the modality isn't given, the router that all methods here share finds it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from pydantic import Field

from remodal.adaptation.adapt import Adapted, adapt, frozen
from remodal.adaptation.routed import Expert
from remodal.backbones import Backbone
from remodal.methods.base import State, TaskData, methods
from remodal.methods.routed import RoutedMethod
from remodal.settings import Settings
from remodal.training.trainer import Recipe, Trainer


class PerModalitySettings(Settings):
    """Settings of ``per-modality``."""

    prompt_length: int = Field(8, ge=1, description="keys and values a layer")
    learning_rate: float = Field(1e-3, gt=0, description="of the prompts")
    epochs: int = Field(5, ge=1, description="passes over a task's items")
    batch: int = Field(64, ge=1, description="items a step")


@methods.add("per-modality")
class PerModality(RoutedMethod):
    """One expert a modality, naively fine-tuned."""

    options = PerModalitySettings

    def __init__(self, backbone: Backbone, settings: Settings, seed: int) -> None:
        super().__init__(backbone, settings, seed)
        self.experts_: dict[str, Expert] = {}

    def learn(self, task: TaskData, trainer: Trainer) -> None:
        """Train the modality's expert on the task alone."""
        chosen, tower = cast(PerModalitySettings, self.settings), self.backbone.tower(task.modality)
        if task.modality in self.experts_:
            start = Adapted(self.experts_[task.modality].prompts, self.experts_[task.modality].adapter)
        else:
            start = frozen(tower, self.backbone.width, chosen.prompt_length, trainer)
        recipe = Recipe(chosen.learning_rate, chosen.epochs, chosen.batch)
        anchors, scale = self.backbone.anchors(task.classes), self.backbone.logit_scale
        learned = adapt(tower, task.tokens, task.labels, anchors, start, scale, recipe, trainer)
        self.experts_[task.modality] = Expert(learned.prompts, learned.adapter, 1.0)
        self.learn_identity(task, tower.identity(task.tokens), trainer)

    def experts(self) -> Mapping[str, Expert]:
        """One a modality."""
        return self.experts_

    def state(self) -> State:
        """Prompts and adapters by modality, and the routing."""
        state = State(values={"modalities": list(self.experts_)})
        for name, expert in self.experts_.items():
            state.put(name, {"prompts": expert.prompts, "adapter": expert.adapter})
        self.put_routing(state)
        return state

    def restore(self, state: State) -> None:
        """Take on what :meth:`state` gave."""
        self.experts_ = {name: Expert(**state.under(name), temperature=1.0) for name in state.values["modalities"]}
        self.take_routing(state)
