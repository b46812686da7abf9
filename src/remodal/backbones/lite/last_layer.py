"""A backbone seen as most papers see theirs: the last layer's mean token, and nothing of the layers before it.

Hypercolumn tokens bring earlier layers, layout and order. What a method owes to them and what to itself shows when it
is run on both: ``--features shared`` (the backbone's own tokens and pooling) and ``--features published`` (this view).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from remodal.backbones.base import Backbone
from remodal.backbones.encoder import Encoder
from remodal.backbones.exportable import Exportable, GraphInput
from remodal.backbones.lite.efficientnet import EfficientNetLite0
from remodal.backbones.lite.minilm import MiniLM
from remodal.backbones.lite.prompting import prompted
from remodal.backbones.tower import Tower
from remodal.backbones.view import View

LiteEncoder = EfficientNetLite0 | MiniLM


class LastLayerEncoder(Encoder, Exportable):
    """An encoder whose first token ends with the last layer's mean, ``width`` channels of it."""

    layers = 1

    def __init__(self, whole: LiteEncoder, width: int) -> None:
        self._whole = whole
        self.name, self.engine = whole.name, whole.engine
        self.width = self.feature_width = self.identity_width = width

    def prepare(self, modality: str, medium: Any) -> NDArray[Any]:
        """As the whole encoder."""
        return self._whole.prepare(modality, medium)

    def normalised(self, modality: str, prepared: NDArray[Any]) -> NDArray[Any]:
        """As the whole encoder."""
        return self._whole.normalised(modality, prepared)

    def stem(self, inputs: NDArray[Any]) -> NDArray[Any] | Tensor:
        """As the whole encoder: the same tokens are cached."""
        return self._whole.stem(inputs)

    def embed(self, tokens: Tensor, prompts: Tensor | None) -> Tensor:
        """The last layer's mean token, its mean over the frames, L2-normalised."""
        last = prompted(tokens[:, :, :1, -self.width :].float(), prompts)
        return functional.normalize(last.mean((1, 2)), dim=-1)

    def align(self, features: Tensor) -> Tensor:
        """The whole encoder's own map, which reads the last layer alone."""
        return self._whole.align(features)

    def pooled(self, tokens: Tensor) -> Tensor:
        """The features."""
        return self.embed(tokens, None)

    def graph_inputs(self, modalities: Sequence[str]) -> list[GraphInput]:
        """As the whole encoder."""
        return self._whole.graph_inputs(modalities)

    def graph_stem(self, modalities: Sequence[str]) -> nn.Module:
        """As the whole encoder."""
        return self._whole.graph_stem(modalities)

    def for_graph(self) -> Self:
        """As it is: a mean is one graph, whatever the frames."""
        return self


def last_layer(whole: Backbone, encoders: Mapping[LiteEncoder, int]) -> View:
    """``whole`` with towers that show their last layer alone; the stem, and so the cache, is the same.

    encoders: those of ``whole``, and the channels of the last layer of each.
    """
    return View(whole, {one.name: Tower(LastLayerEncoder(one, width)) for one, width in encoders.items()})
