"""DualPrompt: a prompt for all tasks and an expert prompt a task, found by its key.

Wang et al., "DualPrompt: complementary prompting for rehearsal-free continual learning", ECCV 2022. The general prompt
sits in layers 0 and 1, the expert prompts in layers 2 to 4; in training the running task's expert is used, in testing
the one whose key is nearest to the query ``q(x)`` (cosine). Loss: cross-entropy over the task's classes, of a linear
classifier, ``+ pull * (1 - cos(q, key))``.

Deviations: a backbone with fewer than five layers that take prompts has both in all of them; prompts are residual
prefixes (the paper's are prefixes within the softmax); the rate falls along a cosine. As in the authors' code, a new
expert prompt starts as the last one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional

from remodal.adaptation.prompts import fresh_prompts, values_times
from remodal.adaptation.rows import Rows
from remodal.backbones import Tokens, Tower
from remodal.methods.base import TaskData, methods
from remodal.methods.linear_classifier import LinearClassifier
from remodal.methods.parts import TowerMethod
from remodal.settings import Settings
from remodal.streams.base import Column
from remodal.training.seeding import uniform
from remodal.training.trainer import Parameters, Recipe, Trainer

GENERAL_LAYERS, EXPERT_LAYERS = slice(0, 2), slice(2, 5)


class DualPromptSettings(Settings):
    """Settings of ``dualprompt``."""

    prompt_length: int = Field(5, ge=1, le=1_000, description="keys and values a layer, of each of the two prompts")
    pull: float = Field(1.0, ge=0, description="weight of the pull of a key to its task's queries")
    learning_rate: float = Field(2.8125e-3, gt=0, description="of prompts and keys")
    steps: int = Field(1045, ge=1, le=1_000_000, description="of a task")
    batch: int = Field(24, ge=1, le=100_000, description="items a step")


@dataclass
class Prompts:
    """general: ``[layers, 2, length, width]``. experts: one a task, stacked. keys: ``[tasks, identity_width]``."""

    general: Tensor
    experts: Tensor
    keys: Tensor
    classifier: LinearClassifier


@methods.add("dualprompt")
class DualPrompt(TowerMethod[Prompts]):
    """General and expert prompts of each tower."""

    options = DualPromptSettings
    settings: DualPromptSettings
    part = Prompts
    grows_with_tasks = True

    def fresh(self, tower: Tower, task: TaskData, trainer: Trainer) -> Prompts:
        """A general prompt that changes nothing, and no expert yet."""
        length = self.settings.prompt_length
        general = fresh_prompts(tower, length, trainer.generator("general"))
        keys = torch.zeros(0, tower.identity_width)
        return Prompts(general, general[None][:0], keys, LinearClassifier.empty(tower.feature_width))

    def learned(self, part: Prompts, tower: Tower, task: TaskData, trainer: Trainer) -> Prompts:
        """Train the general prompt, a new expert with its key, and the task's classes."""
        chosen, draws = self.settings, trainer.generator("expert")
        queries = Rows(task.tokens, tower.identity)

        def prompts(parameters: Parameters, _: Tensor) -> Tensor:
            return _both(parameters["general"], parameters["expert"][None])[0]

        def pull(parameters: Parameters, batch: Tensor) -> Tensor:
            apart = 1 - functional.cosine_similarity(queries[batch], parameters["key"][None], dim=-1)
            return chosen.pull * apart.mean()

        start = {
            "general": part.general,
            "expert": part.experts[-1] if len(part.experts) else fresh_prompts(tower, chosen.prompt_length, draws),
            "key": uniform(tower.identity_width, draws=draws),
        }
        recipe = Recipe(chosen.learning_rate, chosen.steps, chosen.batch)
        trained, classifier = part.classifier.fit("prompts", start, prompts, task, tower, recipe, trainer, pull)
        experts = torch.cat([part.experts, trained["expert"][None]])
        keys = torch.cat([part.keys, functional.normalize(trained["key"], dim=0)[None]])
        return Prompts(trained["general"], experts, keys, classifier)

    def part_scores(self, part: Prompts, tower: Tower, tokens: Tokens, columns: Sequence[Column]) -> Tensor:
        """Logits under the general prompt and the nearest expert; NaN for classes that were not learned."""
        nearest = (tower.identity(tokens) @ part.keys.T).argmax(1)
        features = tower.features(tokens, _both(part.general, part.experts)[nearest])
        return part.classifier.scores(features, columns)


def _both(general: Tensor, experts: Tensor) -> Tensor:
    """``[k, layers, 2, 2 * length, width]``: the general prompt beside each of ``k`` experts, each in its layers."""
    layers = general.shape[0]
    general = general.expand_as(experts)
    if layers >= EXPERT_LAYERS.stop:
        used = torch.zeros(2, len(experts), layers)
        used[0, :, GENERAL_LAYERS] = used[1, :, EXPERT_LAYERS] = 1
        general, experts = values_times(general, used[0]), values_times(experts, used[1])
    return torch.cat([general, experts], dim=-2)
