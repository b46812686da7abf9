"""A backbone: a frozen model whose towers read the modalities, and the text space that they are aligned to.

It owns one *tower* a kind of encoder; modalities that one tower reads share its prompt shape, so that prompts can pass
between them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from functools import cached_property

import torch
from torch import Tensor

from remodal.backbones.engine import Engine
from remodal.backbones.tower import Tower
from remodal.errors import RemodalError
from remodal.settings import Settings


class Backbone(ABC):
    """A frozen model: towers that read the modalities, and the text space that they are aligned to."""

    name: str
    width: int
    """Width ``d`` of the text space."""
    logit_scale: float
    """What cosine similarities to anchors are multiplied with before a softmax."""
    towers: Mapping[str, Tower]
    """Towers by their name."""
    reads: Mapping[str, str]
    """Name of the tower that reads a modality, by modality."""
    engine: Engine = Engine()
    """Where the frozen networks compute; what is learned of their features lives in its home."""
    settings: Settings = Settings()
    """What was chosen of what can be set."""

    @property
    @abstractmethod
    def fingerprint(self) -> str:
        """Changes whenever the stem's output would: part of the key of every cached token."""

    def published(self) -> Backbone:
        """This backbone as papers use theirs: its last layer alone, which is what a transformer gives anyway."""
        return self

    @abstractmethod
    def embed_name(self, name: str) -> Tensor:
        """Text embedding ``[d]`` of a class name, L2-normalised."""

    def anchors(self, names: Sequence[str]) -> Tensor:
        """Text embeddings ``[len(names), d]`` of class names: the classifier. Each name is embedded once."""
        for name in names:
            if name not in self._embedded:
                self._embedded[name] = self.embed_name(name)
        return torch.stack([self._embedded[name] for name in names])

    def logits(self, embedded: Tensor, names: Sequence[str]) -> Tensor:
        """``logit_scale * z . anchor`` ``[n, len(names)]`` of embeddings ``[n, d]``."""
        return self.logit_scale * embedded @ self.anchors(names).T

    @cached_property
    def _embedded(self) -> dict[str, Tensor]:
        return {}

    def tower(self, modality: str) -> Tower:
        """The tower that reads ``modality``."""
        if modality not in self.reads:
            raise RemodalError(f"backbone {self.name!r} does not read {modality}; it reads: {', '.join(self.reads)}")
        return self.towers[self.reads[modality]]
