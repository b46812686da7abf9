"""MiniLM: sentences -> frozen tokens, class names -> text embeddings."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from remodal.backbones.encoder import Encoder
from remodal.backbones.engine import Engine
from remodal.backbones.exportable import Exportable, GraphInput
from remodal.backbones.lite.bert import Bert
from remodal.backbones.lite.frozen import FrozenNetwork
from remodal.backbones.lite.prompting import prompted
from remodal.backbones.packaged import EARLY_LAYER, MAX_WORD_PIECES, WIDTH, cutting_tokenizer, weights_file


class _FourTokens(nn.Module):
    """Word pieces -> ``[n, 4, 384]``: mean and maximum of the last layer, mean and maximum of an early one."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = Bert(weights_file())

    def forward(self, word_pieces: Tensor) -> Tensor:
        layers = self.encoder(word_pieces)
        tokens = [one for layer in (layers[-1], layers[EARLY_LAYER]) for one in (layer.mean(1), layer.amax(1))]
        return torch.stack(tokens, dim=1)


class MiniLM(Encoder, Exportable):
    """The text tower of ``lite``: one frame of four tokens a sentence."""

    name = "text"
    layers = 1
    width = WIDTH
    feature_width = 4 * WIDTH
    identity_width = feature_width

    def __init__(self, cache: Path, engine: Engine | None = None) -> None:
        self.engine = engine or Engine()
        self.weights = weights_file()
        example = torch.ones(2, 8, dtype=torch.int64)
        self._network = FrozenNetwork(
            _FourTokens,
            {"word_pieces": example},
            cache / "all-minilm-l6.onnx",
            dynamic={"word_pieces": {1: "length"}},
            device=self.engine.device,
        )
        self.centre = torch.zeros(WIDTH)
        """Mean embedding of a broad vocabulary, taken off so that cosines spread; set by the backbone."""

    @cached_property
    def _tokenizer(self) -> Any:
        return cutting_tokenizer()

    def prepare(self, modality: str, medium: str) -> NDArray[np.int64]:
        """A sentence's word pieces, ``[1, MAX_WORD_PIECES]``, padded with -1."""
        pieces = self._tokenizer.encode(medium).ids
        row = np.full((1, MAX_WORD_PIECES), -1, dtype=np.int64)
        row[0, : len(pieces)] = pieces
        return row

    def stem(self, inputs: NDArray[Any]) -> NDArray[np.float16]:
        """Four tokens a sentence, ``[n, 4, 384]``."""
        return self._encode(inputs).astype(np.float16)

    def _encode(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        # one sentence at a time: padding to a batch's longest would change the last bits with the company
        return np.concatenate([self._encode_one(row[row >= 0][None]) for row in rows])

    def _encode_one(self, word_pieces: NDArray[np.int64]) -> NDArray[np.float32]:
        return self._network(word_pieces=word_pieces)

    def sentences(self, texts: Sequence[str]) -> Tensor:
        """Sentence embeddings ``[n, 384]``: the mean token, L2-normalised."""
        tokens = self._encode(np.concatenate([self.prepare("text", text) for text in texts]))
        return functional.normalize(torch.from_numpy(tokens[:, 0]), dim=-1)

    def embed(self, tokens: Tensor, prompts: Tensor | None) -> Tensor:
        """The four tokens, each L2-normalised, side by side."""
        return functional.normalize(prompted(tokens[:, 0].float(), prompts), dim=-1).flatten(1)

    def align(self, features: Tensor) -> Tensor:
        """The mean token, centred as the anchors are."""
        return features[:, :WIDTH] - self.centre

    def pooled(self, tokens: Tensor) -> Tensor:
        """The frozen features, L2-normalised."""
        return functional.normalize(self.embed(tokens, None), dim=-1)

    def graph_inputs(self, modalities: Sequence[str]) -> list[GraphInput]:
        """Word pieces."""
        meaning = f"int64 [length]: word pieces of one sentence, at most {MAX_WORD_PIECES}, none of them filled up"
        return [GraphInput("word_pieces", meaning, torch.ones(8, dtype=torch.int64), "length")]

    def graph_stem(self, modalities: Sequence[str]) -> nn.Module:
        """The network, for one sentence."""
        return _Reading(self._network.module)

    def for_graph(self) -> Self:
        """As it is: a sentence is one frame."""
        return self


class _Reading(nn.Module):
    """Word pieces ``[length]`` -> tokens ``[1, 4, 384]``."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, word_pieces: Tensor) -> Tensor:
        tokens: Tensor = self.network(word_pieces[None])
        return tokens.half()
