"""A small frozen backbone and a stream that can be learned in a moment.

The toy backbone keeps the contract (two towers, four modalities on one of them, prompts that leave it frozen at zero),
so a method of one's own can be tried on it before it meets a real one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from remodal.backbones import Backbone, Encoder, Engine, Tokens, Tower
from remodal.backbones.lite.prompting import prompted
from remodal.learning.prepare import PreparedStep, PreparedStream, PreparedTask, TestData
from remodal.methods.base import TaskData
from remodal.streams.base import Column
from remodal.training.seeding import generator

WIDTH = 12
TOKENS = 2
SPACE = 8


class ToyEncoder(Encoder):
    """Tokens ``[frames, 2, 12]`` -> features: their mean over frames, side by side."""

    layers = 1
    width = WIDTH
    feature_width = TOKENS * WIDTH
    identity_width = WIDTH

    def __init__(self, name: str, engine: Engine | None = None) -> None:
        self.name, self.engine = name, engine or Engine()
        drawn = torch.randn(SPACE, self.feature_width, generator=generator(0, "toy", name), device="cpu")
        self.map = self.engine.home_of(drawn / 5)

    def prepare(self, modality: str, medium: Any) -> NDArray[Any]:
        """The toy's media are tokens already."""
        return np.asarray(medium)

    def stem(self, inputs: NDArray[Any]) -> NDArray[np.float16]:
        """Nothing to compute."""
        return inputs.astype(np.float16)

    def embed(self, tokens: Tensor, prompts: Tensor | None) -> Tensor:
        """Mean over the frames."""
        return prompted(tokens.float(), prompts).mean(1).flatten(1)

    def align(self, features: Tensor) -> Tensor:
        """A fixed random map."""
        return features @ self.map.T

    def pooled(self, tokens: Tensor) -> Tensor:
        """The first token."""
        return functional.normalize(tokens[:, :, 0].float().mean(1), dim=-1)


class ToyBackbone(Backbone):
    """Random but fixed; ``vision`` reads four modalities, ``text`` one. engine: where it computes."""

    name = "toy"
    width = SPACE
    logit_scale = 10.0
    fingerprint = "toy-1"

    def __init__(self, engine: Engine | None = None) -> None:
        self.engine = engine or Engine()
        self.encoders = {name: ToyEncoder(name, self.engine) for name in ("vision", "text")}
        self.towers = {name: Tower(encoder) for name, encoder in self.encoders.items()}
        self.reads = {"image": "vision", "video": "vision", "audio": "vision", "depth": "vision", "text": "text"}

    def embed_name(self, name: str) -> Tensor:
        """A direction of its own for each name."""
        drawn = torch.randn(SPACE, generator=generator(0, "name", name), device="cpu")
        return self.engine.home_of(functional.normalize(drawn, dim=0))


def toy_stream(
    tasks: Sequence[tuple[str, Sequence[str]]] = (
        ("image", ("cat", "dog")),
        ("audio", ("bell", "dog")),
        ("text", ("cat", "tea")),
        ("image", ("oak", "elm")),
        ("audio", ("rain", "wind")),
    ),
    *,
    seed: int = 0,
    items: int = 12,
    noise: float = 0.3,
    alignment: float = 0.0,
    shuffled: bool = False,
) -> PreparedStream:
    """Tasks of (modality, classes); each class is a direction of its own, each modality another. Half is held out.

    items: of each class, on either side of the split. alignment: how far a class's mean is moved to where the toy
    backbone has its name, so that the frozen model knows a little already. shuffled: labels are drawn at random, so
    that nothing can be learned.
    """
    backbone = ToyBackbone()
    prepared = []
    for index, (modality, classes) in enumerate(tasks):
        draws = generator(seed, "toy stream", index)
        means = torch.stack([_mean(backbone, modality, name, alignment) for name in classes])
        train, test = (_items(backbone, modality, means, items, noise, shuffled, draws) for _ in range(2))
        data = TaskData(index, tuple(Column(modality, name) for name in classes), *train)
        names = tuple(f"{modality}/{index}/{item}" for item in range(len(test[1])))
        prepared.append(PreparedTask(data, TestData(names, *test)))
    steps = tuple(PreparedStep(task.train.modality, task.train, task.train.index) for task in prepared)
    return PreparedStream(tuple(prepared), steps, (), {"decode": 0.0, "stem": 0.0})


def _mean(backbone: ToyBackbone, modality: str, name: str, alignment: float) -> Tensor:
    """Tokens ``[2, 12]`` around which a class's items lie."""
    named = functional.normalize(backbone.embed_name(name) @ backbone.encoders[backbone.reads[modality]].map, dim=0)
    kind = torch.randn(TOKENS, WIDTH, generator=generator(0, "kind", modality))
    own = torch.randn(TOKENS, WIDTH, generator=generator(0, modality, name))
    return kind + own + alignment * named.view(TOKENS, WIDTH)


def _items(
    backbone: ToyBackbone,
    modality: str,
    means: Tensor,
    items: int,
    noise: float,
    shuffled: bool,
    draws: torch.Generator,
) -> tuple[Tokens, Tensor]:
    labels = torch.arange(len(means)).repeat_interleave(items)
    lengths = torch.ones(len(labels), dtype=torch.int64)
    if modality == "audio":
        lengths[::2] = 3  # items of several lengths in one batch
    of_frame = labels.repeat_interleave(lengths)
    frames = means[of_frame] + noise * torch.randn(len(of_frame), TOKENS, WIDTH, generator=draws)
    if shuffled:
        labels = labels[torch.randperm(len(labels), generator=draws)]
    return Tokens(backbone.reads[modality], frames.half(), lengths), labels
