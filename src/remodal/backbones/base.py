"""The contract of a backbone: a frozen stem whose output is cached, and a head that takes prompts.

A backbone owns one *tower* a kind of encoder; modalities that one tower reads share its prompt shape, so that
prompts can pass between them. Prompts are ``[layers, 2, length, width]`` (keys, values) for every backbone, and
zero values give exactly the frozen model.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from remodal.backbones.remembered import Remembered
from remodal.backbones.tokens import Tokens
from remodal.errors import RemodalError


class Tower(ABC):
    """One frozen encoder: files' media -> tokens (stem), tokens + prompts -> features (head)."""

    name: str
    layers: int
    """Layers that take prompts."""
    width: int
    """Width of a token, and so of a prompt."""
    feature_width: int
    """Width of what :meth:`features` gives."""
    identity_width: int
    """Width of what :meth:`identity` gives."""

    @abstractmethod
    def prepare(self, modality: str, medium: Any) -> NDArray[Any]:
        """A decoded medium in few bytes, ``[frames, ...]``; called where it is decoded, maybe in another process."""

    def normalised(self, modality: str, prepared: NDArray[Any]) -> NDArray[Any]:
        """Prepared frames as the stem takes them: as they are, unless a tower says otherwise."""
        return prepared

    @abstractmethod
    def stem(self, inputs: NDArray[Any]) -> NDArray[np.float16]:
        """Frozen tokens ``[frames, tokens, width]`` of a batch of normalised frames, whatever items they belong to."""

    @abstractmethod
    def embed(self, tokens: Tensor, prompts: Tensor | None) -> Tensor:
        """Features ``[n, feature_width]`` of tokens ``[n, frames, tokens, width]``, differentiable in the prompts.

        prompts: ``[layers, 2, length, width]``, or one an item, ``[n, layers, 2, length, width]``.
        """

    @abstractmethod
    def align(self, features: Tensor) -> Tensor:
        """Features in the text space, ``[n, d]``, by the frozen model's own map (linear, not normalised)."""

    @abstractmethod
    def pooled(self, tokens: Tensor) -> Tensor:
        """The last layer's mean token ``[n, identity_width]``: all that a router may see.

        Its shape is the same for every modality of the tower, whatever the file, the decoder or the number of
        frames, so that the identity has to be found from content.
        """

    def features(self, tokens: Tokens, prompts: Tensor | None = None) -> Tensor:
        """:meth:`embed` for items of any number of frames; without prompts, once for a batch."""
        if prompts is None:
            return self._frozen.get(tokens, self, lambda: self._features(tokens, None))
        return self._features(tokens, prompts)

    def _features(self, tokens: Tokens, prompts: Tensor | None) -> Tensor:
        out = torch.empty(len(tokens), self.feature_width)
        for positions, group in tokens.by_length():
            own = prompts[positions] if prompts is not None and prompts.dim() == 5 else prompts
            out = out.index_copy(0, positions, self.embed(group, own))
        return out

    def identity(self, tokens: Tokens) -> Tensor:
        """:meth:`pooled` for items of any number of frames, once for a batch."""
        return self._identities.get(tokens, self, lambda: self._identity(tokens))

    def _identity(self, tokens: Tokens) -> Tensor:
        out = torch.empty(len(tokens), self.identity_width)
        for positions, group in tokens.by_length():
            out[positions] = self.pooled(group)
        return out

    @cached_property
    def _frozen(self) -> Remembered:
        return Remembered()

    @cached_property
    def _identities(self) -> Remembered:
        return Remembered()


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
