"""A text transformer of the ``transformers`` library as an encoder: prompts in all of its layers.

Sentences are stored as their word pieces, which take no room, so that prompts may act from the first layer on.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn import functional

from remodal.backbones.anatomies import Anatomy, run
from remodal.backbones.encoder import Encoder, PromptTraining
from remodal.backbones.engine import Engine

SENTENCES_AT_ONCE = 64


class TransformerText(Encoder):
    """Reads sentences; longer ones than ``longest`` word pieces are cut.

    Features are mean and maximum of the last layer's word pieces, and of an early layer's, which keeps more of the
    wording; each L2-normalised.

    anatomy: the model, taken apart. tokenizer: gives a sentence's word pieces. early: the early layer, counted from 1.
    """

    name = "text"
    keeps_features = True
    prompt_training = PromptTraining(rate=2e-2, speed=0.05, steps=300)

    def __init__(
        self, anatomy: Anatomy, tokenizer: Tokenizer, longest: int, early: int, engine: Engine | None = None
    ) -> None:
        self.engine = engine or Engine()
        self._anatomy, self._tokenizer, self._longest, self._early = anatomy, tokenizer, longest, early
        self._tokenizer.enable_truncation(longest)
        self._tokenizer.no_padding()
        self.layers, self.width = len(anatomy.layers), anatomy.width
        self.feature_width, self.identity_width = 4 * self.width, self.width
        self.centre = torch.zeros(self.width, device=self.engine.home)
        """Mean embedding of a broad vocabulary, taken off so that cosines spread; set by the backbone."""

    def prepare(self, modality: str, medium: str) -> NDArray[np.uint8]:
        """A sentence's word pieces as bytes, four a piece ``[1, longest, 4]``; -1 where there is none."""
        pieces = self._tokenizer.encode(medium).ids
        row = np.full((1, self._longest), -1, dtype="<i4")
        row[0, : len(pieces)] = pieces
        return row.view(np.uint8).reshape(1, self._longest, 4)

    def stem(self, inputs: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The word pieces themselves."""
        return inputs

    def embed(self, tokens: Tensor, prompts: Tensor | None) -> Tensor:
        """Mean and maximum of two layers, each L2-normalised, side by side."""
        return self._four(tokens, prompts).flatten(1)

    def frozen(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Features without prompts and the last layer's mean, in one pass."""
        four = self._four(tokens, None)
        return four.flatten(1), four[:, 0]

    def pooled(self, tokens: Tensor) -> Tensor:
        """The last layer's mean, L2-normalised."""
        return self._four(tokens, None)[:, 0]

    def align(self, features: Tensor) -> Tensor:
        """The last layer's mean, centred as the anchors are."""
        return features[:, : self.width] - self.centre

    def sentences(self, texts: Sequence[str]) -> Tensor:
        """Sentence embeddings ``[n, width]``: the last layer's mean, L2-normalised."""
        rows = np.stack([self.prepare("text", text) for text in texts])
        parts = (torch.from_numpy(rows[at : at + SENTENCES_AT_ONCE]) for at in range(0, len(rows), SENTENCES_AT_ONCE))
        with torch.no_grad():
            return torch.cat([self.engine.home_of(self.pooled(self.engine.here(part))).float() for part in parts])

    def _four(self, tokens: Tensor, prompts: Tensor | None) -> Tensor:
        """``[n, 4, width]``: mean and maximum of the last layer, mean and maximum of the early one."""
        pieces = tokens[:, 0].contiguous().view(torch.int32)[..., 0].long()
        real = pieces >= 0
        pieces, real = pieces[:, : int(real.sum(1).max())], real[:, : int(real.sum(1).max())]
        inputs = {"input_ids": pieces.clamp(min=0), "attention_mask": real.long()}
        embedded = self._anatomy.embed(inputs)
        beside = self._anatomy.beside(embedded, inputs)
        last, (early,) = run(self._anatomy.layers, embedded, prompts, beside, [self._early - 1])
        weight, four = real[..., None].float(), list[Tensor]()
        for layer in (self._anatomy.norm(last).float(), early.float()):
            four += [(layer * weight).sum(1) / weight.sum(1), (layer - (1 - weight) * 1e4).amax(1)]
        return functional.normalize(torch.stack(four, dim=1), dim=-1)
