"""MiniLM's network, a BERT (Devlin et al., NAACL 2019), in torch's own layers: what ``lite`` reads is one fixed model.

It computes, operation by operation, what the ``BertModel`` of ``transformers`` does; a test holds it to the same bits.
So ``lite`` doesn't need that library, whose 130 MB are for models of a user's choice.
"""

from __future__ import annotations

import re
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional

from remodal.backbones.packaged import WIDTH

LAYERS, HEADS, INNER = 6, 12, 1536
PIECES, POSITIONS, SEGMENTS = 30_522, 512, 2
EPSILON = 1e-12
"""Of the layers' normalisation."""
NAMES = {
    "attention.self.": "",
    "attention.output.dense": "mixed",
    "attention.output.LayerNorm": "attended",
    "intermediate.dense": "widened",
    "output.dense": "narrowed",
    "output.LayerNorm": "normed",
    "embeddings.LayerNorm": "normed",
    "_embeddings": "s",
    "embeddings.": "",
    "encoder.layer": "layers",
}
"""Parts of a weight's name in the file, and here; what comes first is replaced first."""
UNUSED = re.compile(r"^pooler\.|position_ids$")


class _Layer(nn.Module):
    """Attention among all word pieces of a sentence, then a perceptron for each."""

    def __init__(self) -> None:
        super().__init__()
        self.query, self.key, self.value, self.mixed = (nn.Linear(WIDTH, WIDTH) for _ in range(4))
        self.widened, self.narrowed = nn.Linear(WIDTH, INNER), nn.Linear(INNER, WIDTH)
        self.attended, self.normed = (nn.LayerNorm(WIDTH, EPSILON) for _ in range(2))

    def forward(self, hidden: Tensor) -> Tensor:
        shape = (*hidden.shape[:-1], HEADS, WIDTH // HEADS)
        query, key, value = (
            project(hidden).view(shape).transpose(1, 2) for project in (self.query, self.key, self.value)
        )
        weights = functional.softmax(query @ key.transpose(2, 3) * (WIDTH // HEADS) ** -0.5, dim=-1)
        mixed = (weights @ value).transpose(1, 2).reshape(hidden.shape)
        attended = self.attended(self.mixed(mixed) + hidden)
        normed: Tensor = self.normed(self.narrowed(functional.gelu(self.widened(attended))) + attended)
        return normed


class Bert(nn.Module):
    """Word pieces ``[n, length]`` of sentences of one length, none of which is filled up -> what each layer gives.

    weights: the safetensors file of ``all-MiniLM-L6-v2``.
    """

    def __init__(self, weights: Path) -> None:
        super().__init__()
        self.words, self.positions, self.token_types = (
            nn.Embedding(count, WIDTH) for count in (PIECES, POSITIONS, SEGMENTS)
        )
        self.normed = nn.LayerNorm(WIDTH, EPSILON)
        self.layers = nn.ModuleList(_Layer() for _ in range(LAYERS))
        found = {_name(name): one for name, one in load_file(weights).items() if not UNUSED.search(name)}
        self.load_state_dict(found)

    def forward(self, word_pieces: Tensor) -> list[Tensor]:
        """``[n, length, 384]``: embeddings, and each layer's output."""
        at = torch.arange(word_pieces.shape[1], device=word_pieces.device)
        embedded = self.words(word_pieces) + self.token_types.weight[0] + self.positions(at)
        found = [self.normed(embedded)]
        for layer in self.layers:
            found.append(layer(found[-1]))
        return found


def _name(name: str) -> str:
    for there, here in NAMES.items():
        name = name.replace(there, here)
    return name
