"""DIKI: residual prompts a task, used as far as an item looks like that task.

Tang et al., "Mind the interference: retaining pre-trained knowledge in parameter efficient continual learning of
vision-language models", ECCV 2024. Each task has prompts (keys ~ U(-1, 1), values 0) that act as a residual beside the
frozen attention, and a Gaussian over its frozen features; an item takes the prompts of the likeliest task, with values
times ``sigmoid(log N(x) / d - 1)``.

Deviations: the Gaussian is diagonal, of the router's features (L2-normalised), shrunk toward their mean variance by
1e-2; the prompts bring the task's alignment to the text anchors with them. All layers that take prompts are used (eight
in the paper). The paper's rate of 5 is for prompts alone; the alignment, which learns beside them here, diverges at it.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from pydantic import Field
from torch import Tensor

from remodal.adaptation.alignment import aligned
from remodal.adaptation.prompts import values_times
from remodal.adaptation.rows import Rows
from remodal.adaptation.selectors import Gaussian
from remodal.backbones import Tokens, Tower
from remodal.methods.base import TaskData, methods
from remodal.methods.prompt_training import PromptSettings, trained
from remodal.methods.sessions import SessionMethod
from remodal.streams.base import Column
from remodal.training.trainer import Recipe, Trainer


class DikiSettings(PromptSettings):
    """Settings of ``diki``."""

    learning_rate: float = Field(0.5, gt=0, description="of the prompts")
    steps: int = Field(270, ge=1, le=1_000_000, description="of a task")

    @property
    def recipe(self) -> Recipe:
        """The paper's: plain gradient descent."""
        return Recipe(self.learning_rate, self.steps, self.batch, momentum=0.0, clip=None)


@dataclass
class Session:
    """What is kept of a task."""

    columns: list[Column]
    selector: Gaussian
    prompts: Tensor
    adapter: Tensor

    @classmethod
    def earlier(cls, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        """Before the Gaussian had a class of its own."""
        return {f"selector/{name}" if name in ("mean", "variance") else name: one for name, one in tensors.items()}


@dataclass
class Sessions:
    """A tower's sessions, oldest first."""

    sessions: list[Session]


@methods.add("diki")
class Diki(SessionMethod[Sessions]):
    """Sessions of each tower."""

    options = DikiSettings
    settings: DikiSettings
    part = Sessions

    def learned(self, part: Sessions, tower: Tower, task: TaskData, trainer: Trainer) -> Sessions:
        """Prompts of the task's own, and the Gaussian of its frozen features."""
        learned = trained(self.lesson(task), self.settings, trainer)
        selector = Gaussian.of(Rows(task.tokens, tower.identity))
        session = Session(list(task.columns), selector, learned.prompts, learned.adapter)
        return Sessions([*part.sessions, session])

    def embedded(self, part: Sessions, session: Session, fit: Tensor, tower: Tower, tokens: Tokens) -> Tensor:
        """Under the task's prompts, weighted item by item."""
        prompts = values_times(session.prompts.expand(len(fit), -1, -1, -1, -1), torch.sigmoid(fit - 1))
        return aligned(tower, session.adapter, tower.features(tokens, prompts))
