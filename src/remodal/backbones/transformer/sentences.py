"""A text transformer of the ``transformers`` library as an encoder: prompts in all of its layers.

Sentences are stored as their word pieces, which take no room, so that prompts may act from the first layer on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn import functional

from remodal.backbones.encoder import Encoder, PromptTraining
from remodal.backbones.engine import Engine
from remodal.backbones.transformer.anatomies import Anatomy, run

SENTENCES_AT_ONCE = 64


@dataclass(frozen=True)
class Wording:
    """How a sentence becomes word pieces. longest: word pieces; longer sentences are cut.

    filler: the piece that all sentences are filled up with to ``longest``, for a model that was trained so and looks at
    it too; None: nothing is. lower: whether capitals are made small first.
    """

    tokenizer: Tokenizer
    longest: int
    filler: int | None = None
    lower: bool = False


class TransformerText(Encoder):
    """Reads sentences.

    Features are mean and maximum of the last layer's word pieces, and of an early layer's, which keeps more of the
    wording; each L2-normalised. The text space is that of the mean; or, of a model that has a vector of its own, of
    this, which stands behind the four and through which prompts are trained.

    anatomy: the model, taken apart. early: the early layer, counted from 1.
    """

    name = "text"
    keeps_features = True

    def __init__(self, anatomy: Anatomy, wording: Wording, early: int, engine: Engine | None = None) -> None:
        self.engine = engine or Engine()
        self._anatomy, self._wording, self._early = anatomy, wording, early
        wording.tokenizer.enable_truncation(wording.longest)
        wording.tokenizer.no_padding()
        self.layers, self.width = len(anatomy.layers), anatomy.width
        vector = anatomy.summary_width
        self.feature_width, self.identity_width = 4 * self.width + (vector or 0), vector or self.width
        self.own = slice(-vector, None) if vector else slice(0, self.width)
        self.prompt_training = PromptTraining(rate=2e-2, speed=0.05, steps=100, through=vector)
        self.centre = torch.zeros(self.identity_width, device=self.engine.home)
        """Mean embedding of a broad vocabulary, taken off so that cosines spread; set by the backbone."""

    def prepare(self, modality: str, medium: str) -> NDArray[np.uint8]:
        """A sentence's word pieces as bytes, four a piece ``[1, longest, 4]``; -1 where there is none."""
        wording = self._wording
        pieces = wording.tokenizer.encode(medium.lower() if wording.lower else medium).ids
        row = np.full((1, wording.longest), -1, dtype="<i4")
        row[0, : len(pieces)] = pieces
        return row.view(np.uint8).reshape(1, wording.longest, 4)

    def stem(self, inputs: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The word pieces themselves."""
        return inputs

    def embed(self, tokens: Tensor, prompts: Tensor | None) -> Tensor:
        """Mean and maximum of two layers and the model's own vector, each L2-normalised, side by side."""
        return self._features(tokens, prompts)

    def frozen(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Features without prompts and the sentence's embedding, in one pass."""
        features = self._features(tokens, None)
        return features, features[:, self.own]

    def pooled(self, tokens: Tensor) -> Tensor:
        """The sentence's embedding, L2-normalised."""
        return self.frozen(tokens)[1]

    def align(self, features: Tensor) -> Tensor:
        """The sentence's embedding, centred as the anchors are."""
        return features[:, self.own] - self.centre

    def sentences(self, texts: Sequence[str]) -> Tensor:
        """Sentence embeddings ``[n, d]``: the last layer's mean or the model's own vector, L2-normalised."""
        rows = np.stack([self.prepare("text", text) for text in texts])
        parts = (torch.from_numpy(rows[at : at + SENTENCES_AT_ONCE]) for at in range(0, len(rows), SENTENCES_AT_ONCE))
        with torch.no_grad():
            return torch.cat([self.engine.home_of(self.pooled(self.engine.here(part))).float() for part in parts])

    def _features(self, tokens: Tensor, prompts: Tensor | None) -> Tensor:
        pieces = tokens[:, 0].contiguous().view(torch.int32)[..., 0].long()
        real, filler = pieces >= 0, self._wording.filler
        if filler is None:
            pieces, real = pieces[:, : int(real.sum(1).max())], real[:, : int(real.sum(1).max())]
            inputs = {"input_ids": pieces.clamp(min=0), "attention_mask": real.long()}
        else:
            inputs = {"input_ids": pieces.where(real, filler)}
        embedded = self._anatomy.embed(inputs)
        beside = self._anatomy.beside(embedded, inputs)
        last, (early,) = run(self._anatomy.layers, embedded, prompts, beside, [self._early - 1])
        normed = self._anatomy.norm(last)
        weight, blocks = real[..., None].float(), list[Tensor]()
        for layer in (normed.float(), early.float()):
            blocks += [(layer * weight).sum(1) / weight.sum(1), (layer - (1 - weight) * 1e4).amax(1)]
        if self._anatomy.summary_width:
            blocks.append(self._anatomy.summary(normed, inputs).float())
        return torch.cat([functional.normalize(block, dim=-1) for block in blocks], dim=-1)
