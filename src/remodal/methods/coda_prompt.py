"""CODA-Prompt: each item's prompt is a weighted sum of components that tasks add.

Smith et al., "CODA-Prompt: continual decomposed attention-based prompting", CVPR 2023.
In each layer ``alpha_k = cos(q * A_k, K_k)``, ``P(x) = sum_k alpha_k P_k``; each task adds components, orthogonalised
against the ones before (Gram-Schmidt), which stay as they are. Loss: cross-entropy over the task's classes, of a linear
classifier, plus ``orthogonality * (|K K^T - I|^2 + |A A^T - I|^2 + |P P^T - I|^2)``, means over entries and layers.

Deviations: the number of tasks isn't known beforehand, so each task adds ``components`` instead of a share of 100;
prompts are residual prefixes in all layers (the paper: the first five); values start at zero, so that training starts
at the frozen model, and Gram-Schmidt is applied to A, K and the prompts' keys, up to their width. The paper's prompts
of length 8 are four keys and four values.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional

from remodal.adaptation.rows import Rows
from remodal.backbones import Tokens, Tower
from remodal.methods.base import TaskData, methods
from remodal.methods.linear_classifier import LinearClassifier
from remodal.methods.parts import TowerMethod
from remodal.settings import Settings
from remodal.streams.base import Column
from remodal.training.seeding import normal
from remodal.training.trainer import Parameters, Recipe, Trainer

SMALLEST = 1e-12
"""That a length is divided by."""


class CodaPromptSettings(Settings):
    """Settings of ``coda-prompt``."""

    components: int = Field(5, ge=1, le=1_000, description="that a task adds")
    prompt_length: int = Field(4, ge=1, le=1_000, description="keys and values a layer")
    orthogonality: float = Field(0.1, ge=0, description="weight of the orthogonality of components")
    learning_rate: float = Field(1e-3, gt=0, description="of the components")
    steps: int = Field(800, ge=1, le=1_000_000, description="of a task")
    batch: int = Field(128, ge=1, le=100_000, description="items a step")


@dataclass
class Components:
    """attention, keys: ``[k, layers, identity_width]``. prompts: ``[k, layers, 2, length, width]``."""

    attention: Tensor
    keys: Tensor
    prompts: Tensor
    classifier: LinearClassifier


@methods.add("coda-prompt")
class CodaPrompt(TowerMethod[Components]):
    """Components of each tower."""

    options = CodaPromptSettings
    settings: CodaPromptSettings
    part = Components
    grows_with_tasks = True

    def fresh(self, tower: Tower, task: TaskData, trainer: Trainer) -> Components:
        """No component yet."""
        length = self.settings.prompt_length
        none = torch.zeros(0, tower.layers, tower.identity_width)
        prompts = torch.zeros(0, tower.layers, 2, length, tower.width)
        return Components(none, none, prompts, LinearClassifier.empty(tower.feature_width))

    def learned(self, part: Components, tower: Tower, task: TaskData, trainer: Trainer) -> Components:
        """Add components and train them, with the classes, on the task alone."""
        chosen, draws = self.settings, trainer.generator("components")
        queries = Rows(task.tokens, tower.identity)

        old = part.attention, part.keys, part.prompts

        def new(parameters: Parameters) -> tuple[Tensor, Tensor, Tensor]:
            prompts = torch.stack([parameters["prompt_keys"], parameters["prompt_values"]], dim=2)
            return parameters["attention"], parameters["keys"], prompts

        def own(parameters: Parameters, batch: Tensor) -> Tensor:
            return weighted(queries[batch], *new(parameters)) + weighted(queries[batch], *old)

        def skew(parameters: Parameters, _: Tensor) -> Tensor:
            return chosen.orthogonality * torch.stack(list(map(unorthogonal, new(parameters), old))).sum()

        def drawn(before: Tensor) -> Tensor:
            shape = (chosen.components, *before.shape[1:])
            return orthogonalised(normal(*shape, draws=draws), before)

        start = {
            "attention": drawn(part.attention),
            "keys": drawn(part.keys),
            "prompt_keys": drawn(part.prompts[:, :, 0]),
            "prompt_values": part.prompts.new_zeros(chosen.components, *part.prompts[:, :, 1].shape[1:]),
        }
        recipe = Recipe(chosen.learning_rate, chosen.steps, chosen.batch)
        trained, classifier = part.classifier.fit("components", start, own, task, tower, recipe, trainer, skew)
        attention, keys, prompts = (torch.cat(both) for both in zip(old, new(trained), strict=True))
        return Components(attention, keys, prompts, classifier)

    def part_scores(self, part: Components, tower: Tower, tokens: Tokens, columns: Sequence[Column]) -> Tensor:
        """Logits under the item's own prompt; NaN for classes that were not learned."""
        prompts = weighted(tower.identity(tokens), part.attention, part.keys, part.prompts)
        return part.classifier.scores(tower.features(tokens, prompts), columns)


def weighted(queries: Tensor, attention: Tensor, keys: Tensor, prompts: Tensor) -> Tensor:
    """``sum_k cos(q * A_k, K_k) P_k`` of each layer ``[n, layers, 2, length, width]``, for queries ``[n, width]``."""
    products = torch.einsum("nw,klw->nkl", queries, attention * keys)
    squares = torch.einsum("nw,klw->nkl", queries.square(), attention.square())
    weights = products / ((squares + SMALLEST).sqrt() * keys.norm(dim=-1).clamp(min=SMALLEST))
    return torch.einsum("nkl,kl...->nl...", weights, prompts)


def orthogonalised(rows: Tensor, before: Tensor) -> Tensor:
    """``rows`` made orthogonal to ``before`` and to each other (Gram-Schmidt) in each layer, of unit length.

    Both ``[k, layers, ...]``. Where there are as many as their width already, a further row keeps its direction:
    nothing but rounding would be left of it.
    """
    layers = zip(rows.flatten(2).unbind(1), before.flatten(2).unbind(1), strict=True)
    return torch.stack([_orthogonalised(new, old) for new, old in layers], dim=1).view_as(rows)


def _orthogonalised(rows: Tensor, before: Tensor) -> Tensor:
    done = list(functional.normalize(before, dim=1))
    for row in functional.normalize(rows, dim=1):
        for other in done if len(done) < len(row) else ():
            row = row - (row @ other) * other
        done.append(functional.normalize(row, dim=0))
    return torch.stack(done[len(before) :])


def unorthogonal(rows: Tensor, before: Tensor) -> Tensor:
    """Mean square of the entries of ``R R^T - I`` over the layers; R: ``before`` and ``rows`` ``[k, layers, ...]``.

    What those before have among themselves is left out: they don't change.
    """
    old, new = (one.flatten(2).transpose(0, 1) for one in (before, rows))
    among, across = new @ new.mT - torch.eye(len(rows)), new @ old.mT
    return (among.square().sum() + 2 * across.square().sum()) / (rows.shape[1] * (len(rows) + len(before)) ** 2)
