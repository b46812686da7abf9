"""L2P: a pool of prompts, of which each item picks the nearest.

Wang et al., "Learning to prompt for continual learning", CVPR 2022. A query ``q(x)``, the frozen model's own feature,
picks the ``top`` prompts with the nearest keys (cosine); they are used side by side. Loss: cross-entropy over the
task's classes, of a linear classifier, ``- pull * sum cos(q, k)`` over the picked keys.

Deviations: prompts are residual prefixes of keys and values, as for every method here, instead of leading tokens. An
item picks for itself, not for its batch. One pool a tower. The rate falls along a cosine; budget, rate and sizes are
those of the authors' own code for CIFAR-100.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional

from remodal.adaptation.prompts import fresh_prompts, side_by_side
from remodal.adaptation.rows import Rows
from remodal.backbones import Tokens, Tower
from remodal.methods.base import TaskData, methods
from remodal.methods.linear_classifier import LinearClassifier
from remodal.methods.parts import TowerMethod
from remodal.settings import Settings
from remodal.streams.base import Column
from remodal.training.seeding import uniform
from remodal.training.trainer import Parameters, Recipe, Trainer

KEYS = 0.01
"""Keys start between 0 and this: near each other and short, so that the pull can turn them."""


class L2PSettings(Settings):
    """Settings of ``l2p``."""

    pool: int = Field(10, ge=1, le=1_000, description="prompts")
    prompt_length: int = Field(10, ge=1, le=1_000, description="keys and values a layer, each prompt")
    top: int = Field(4, ge=1, le=1_000, description="prompts that an item picks")
    pull: float = Field(1.0, ge=0, description="weight of the pull of keys to queries")
    learning_rate: float = Field(1.875e-3, gt=0, description="of prompts and keys")
    steps: int = Field(1565, ge=1, le=1_000_000, description="of a task")
    batch: int = Field(16, ge=1, le=100_000, description="items a step")


@dataclass
class Pool:
    """keys: ``[pool, identity_width]``. prompts: ``[pool, layers, 2, length, width]``."""

    keys: Tensor
    prompts: Tensor
    classifier: LinearClassifier


@methods.add("l2p")
class L2P(TowerMethod[Pool]):
    """One pool a tower."""

    options = L2PSettings
    settings: L2PSettings
    part = Pool

    def fresh(self, tower: Tower, task: TaskData, trainer: Trainer) -> Pool:
        """Random keys; prompts that change nothing."""
        chosen, draws = self.settings, trainer.generator("pool")
        prompts = [fresh_prompts(tower, chosen.prompt_length, draws) for _ in range(chosen.pool)]
        keys = KEYS * uniform(chosen.pool, tower.identity_width, draws=draws).abs()
        return Pool(keys, torch.stack(prompts), LinearClassifier.empty(tower.feature_width))

    def learned(self, part: Pool, tower: Tower, task: TaskData, trainer: Trainer) -> Pool:
        """Train the pool and the classes on the task alone."""
        chosen, queries = self.settings, Rows(task.tokens, tower.identity)

        def prompts(parameters: Parameters, batch: Tensor) -> Tensor:
            return self._picked(parameters["keys"], parameters["prompts"], queries[batch])

        def pull(parameters: Parameters, batch: Tensor) -> Tensor:
            return -chosen.pull * self._nearest(parameters["keys"], queries[batch])[0].sum(1).mean()

        start = {"keys": part.keys, "prompts": part.prompts}
        recipe = Recipe(chosen.learning_rate, chosen.steps, chosen.batch)
        trained, classifier = part.classifier.fit("prompts", start, prompts, task, tower, recipe, trainer, pull)
        return Pool(**trained, classifier=classifier)

    def part_scores(self, part: Pool, tower: Tower, tokens: Tokens, columns: Sequence[Column]) -> Tensor:
        """Logits under the item's own prompts; NaN for classes that were not learned."""
        prompts = self._picked(part.keys, part.prompts, tower.identity(tokens))
        return part.classifier.scores(tower.features(tokens, prompts), columns)

    def _picked(self, keys: Tensor, prompts: Tensor, queries: Tensor) -> Tensor:
        """The prompts of the nearest keys, ``[n, layers, 2, top * length, width]``."""
        # the gradient of an embedding is summed row by row, several times faster than that of an index
        picked = functional.embedding(self._nearest(keys, queries)[1], prompts.flatten(1))
        return side_by_side(picked.view(*picked.shape[:2], *prompts.shape[1:]))

    def _nearest(self, keys: Tensor, queries: Tensor) -> tuple[Tensor, Tensor]:
        """Cosines of the nearest keys, and their positions, ``[n, top]`` each."""
        nearness, positions = (queries @ functional.normalize(keys, dim=-1).T).topk(
            min(self.settings.top, len(keys)), dim=1
        )
        return nearness, positions
