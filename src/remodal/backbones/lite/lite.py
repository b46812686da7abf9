"""The embedded backbone: EfficientNet-lite0 and MiniLM from their packages; no hub, no GPU.

No aligned image-text model is in any package registry, so the alignment is made here, in closed form: the CNN's 1000
class weights and MiniLM's embeddings of the 1000 class names are pairs of one concept in two spaces, and a ridge
regression between them maps pictures to the text space before anything is learned.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn import functional

from remodal.backbones.base import Backbone
from remodal.backbones.engine import Engine
from remodal.backbones.lite.efficientnet import HEAD, EfficientNetLite0, load_network
from remodal.backbones.lite.last_layer import last_layer
from remodal.backbones.lite.minilm import MiniLM
from remodal.backbones.names import anchor, vocabulary
from remodal.backbones.packaged import WIDTH
from remodal.backbones.tower import Tower
from remodal.files import replacing

ALIGNMENT_RIDGE = 0.1
STEM_VERSION = "4"
"""Raised whenever pictures, tokens, or what a router may see, are computed in another way."""


class Lite(Backbone):
    """EfficientNet-lite0 reads image, video, audio and depth; MiniLM reads text.

    cache: folder for exported graphs and the alignment. engine: its networks compute in float32 with any.
    """

    name = "lite"
    width = WIDTH
    logit_scale = 10.0

    def __init__(self, cache: Path, engine: Engine | None = None) -> None:
        folder = cache / "lite" / f"{STEM_VERSION}-torch{torch.__version__}"
        self.engine = replace(engine or Engine(), dtype=torch.float32)
        self._vision, self._text = EfficientNetLite0(folder, self.engine), MiniLM(folder, self.engine)
        self.towers = {one.name: Tower(one) for one in (self._vision, self._text)}
        self.reads = {"image": "vision", "video": "vision", "audio": "vision", "depth": "vision", "text": "text"}
        if self.engine.weightless:
            return
        alignment = self._alignment(folder / "alignment.safetensors")
        self._vision.to_text = self.engine.home_of(alignment["to_text"])
        self._text.centre = self.engine.home_of(alignment["centre"])

    @cached_property
    def fingerprint(self) -> str:
        """Hash of the weights and of the stem's version."""
        digest = hashlib.sha256(STEM_VERSION.encode())
        for file in (self._vision.weights, self._text.weights):
            with file.open("rb") as stream:
                digest.update(hashlib.file_digest(stream, "sha256").digest())
        return f"lite-{digest.hexdigest()[:16]}"

    def published(self) -> Backbone:
        """The last layer's mean token, without the hypercolumns."""
        return last_layer(self, {self._vision: HEAD, self._text: WIDTH})

    def embed_name(self, name: str) -> Tensor:
        """Mean over the templates, centred, L2-normalised."""
        return anchor(name, self._text.sentences, self._text.centre)

    def _alignment(self, file: Path) -> dict[str, Tensor]:
        if file.exists():
            return {name: tensor.clone() for name, tensor in load_file(file).items()}
        texts = self._text.sentences(vocabulary())
        centre = texts.mean(0)
        weights = functional.normalize(load_network().get_parameter("_fc.weight").detach(), dim=-1)
        gram = weights.T @ weights + ALIGNMENT_RIDGE * torch.eye(weights.shape[1])
        to_text = torch.linalg.solve(gram, weights.T @ functional.normalize(texts - centre, dim=-1)).T
        alignment = {"to_text": to_text.contiguous(), "centre": centre}
        with replacing(file) as part:
            save_file(alignment, part)
        return alignment
