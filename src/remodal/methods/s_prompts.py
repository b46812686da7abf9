"""S-Prompts: independent prompts a session, found again by the nearest of its K-means centres.

Wang et al., "S-Prompts learning with pre-trained transformers: an Occam's razor for domain incremental learning",
NeurIPS 2022. Each session trains prompts of its own from the frozen model, and keeps ``centres`` K-means centres of its
frozen features; an item is answered by the session of the nearest centre (L1), over that session's classes.

Deviations: prompts are residual prefixes (the paper: tokens beside an item's own); each session's classifier is its own
learned alignment to the text anchors, in place of trained words.
"""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import Field
from torch import Tensor

from remodal.adaptation.expert import Expert
from remodal.adaptation.rows import Rows
from remodal.adaptation.selectors import NearestCentre
from remodal.backbones import Tokens, Tower
from remodal.methods.base import TaskData, methods
from remodal.methods.prompt_training import PromptSettings, trained
from remodal.methods.sessions import SessionMethod
from remodal.streams.base import Column
from remodal.training.trainer import Recipe, Trainer


class SPromptsSettings(PromptSettings):
    """Settings of ``s-prompts``."""

    prompt_length: int = Field(10, ge=1, le=1_000, description="keys and values a layer")
    learning_rate: float = Field(1e-2, gt=0, description="of the prompts")
    centres: int = Field(5, ge=1, le=1_000, description="K-means centres a session")

    @property
    def recipe(self) -> Recipe:
        """The paper's: stochastic gradient descent."""
        return Recipe(self.learning_rate, self.steps, self.batch, momentum=0.9)


@dataclass
class Session:
    """What is kept of a task."""

    columns: list[Column]
    selector: NearestCentre
    expert: Expert

    @classmethod
    def earlier(cls, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        """Before the centres had a class of their own."""
        return {"selector/centres" if name == "centres" else name: tensor for name, tensor in tensors.items()}


@dataclass
class Sessions:
    """A tower's sessions, oldest first."""

    sessions: list[Session]


@methods.add("s-prompts")
class SPrompts(SessionMethod[Sessions]):
    """Sessions of each tower."""

    options = SPromptsSettings
    settings: SPromptsSettings
    part = Sessions

    def learned(self, part: Sessions, tower: Tower, task: TaskData, trainer: Trainer) -> Sessions:
        """A session of its own, from the frozen model."""
        chosen = self.settings
        learned = trained(self.lesson(task), chosen, trainer)
        identity = Rows(task.tokens, tower.identity)
        selector = NearestCentre.of(identity, chosen.centres, trainer.generator("centres"))
        expert = Expert(learned.prompts, learned.adapter, 1.0)
        return Sessions([*part.sessions, Session(list(task.columns), selector, expert)])

    def embedded(self, part: Sessions, session: Session, fit: Tensor, tower: Tower, tokens: Tokens) -> Tensor:
        """By the session's expert."""
        return session.expert.embedded(tower, tokens)
