"""Prompts of its own for each modality, trained on after task: what knowing the modality is worth.

The oracle of the aware setting: nothing of one modality is overwritten by another, but within a modality nothing is
held back either. Where the modality isn't given, the router that all methods here share finds it.
"""

from __future__ import annotations

from collections.abc import Mapping

from remodal.adaptation.adapt import Adapted
from remodal.adaptation.expert import Expert
from remodal.methods.base import TaskData, methods
from remodal.methods.finetune import FinetuneSettings
from remodal.methods.prompt_training import trained
from remodal.methods.routed import RoutedMethod
from remodal.training.trainer import Trainer


@methods.add("per-modality")
class PerModality(RoutedMethod[Expert]):
    """One expert a modality, naively fine-tuned."""

    options = FinetuneSettings
    settings: FinetuneSettings
    part = Expert

    def learned(self, part: Expert | None, task: TaskData, trainer: Trainer) -> Expert:
        """Train the modality's expert on the task alone."""
        start = Adapted(part.prompts, part.adapter) if part else None
        learned = trained(self.lesson(task), self.settings, trainer, start)
        return Expert(learned.prompts, learned.adapter, 1.0)

    def experts(self) -> Mapping[str, Expert]:
        """One a modality."""
        return self.parts_
