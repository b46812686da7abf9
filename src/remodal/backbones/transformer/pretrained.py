"""A model of the ``transformers`` library, and the encoders that are in it."""

from __future__ import annotations

import hashlib
import math
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
import torch

from remodal.backbones.encoder import Encoder
from remodal.backbones.engine import Engine
from remodal.backbones.settings import PretrainedSettings
from remodal.backbones.sources import located
from remodal.backbones.transformer import loading
from remodal.backbones.transformer.anatomies import Anatomy, take_apart
from remodal.backbones.transformer.anatomies.text import last_word_piece
from remodal.backbones.transformer.anatomies.vision import cls_token
from remodal.backbones.transformer.layers import Transformer, Use, cost_of
from remodal.backbones.transformer.pictures import TransformerVideo, TransformerVision
from remodal.backbones.transformer.sentences import TransformerText
from remodal.backbones.transformer.sounds import TransformerAudio
from remodal.errors import RemodalError, in_one_line
from remodal.modalities.audio import RATE

KINDS = {
    "image": ("vision", "video"),
    "video": ("video", "vision"),
    "audio": ("audio", "vision"),
    "depth": ("vision", "video"),
    "text": ("text",),
}
"""Kinds of encoders that can read a modality, the better one first."""
POOLED = {"cls": cls_token, "lasttoken": last_word_piece}
"""What stands for a sentence where it isn't the mean of the word pieces."""
READ = (".safetensors", ".json", ".txt", ".model")
"""Endings of what a model depends on: weights, settings, vocabulary."""


class Pretrained:
    """The model that ``source`` names, a folder or an id, taken apart.

    logit_scale: what it multiplies cosines with, None where it compares nothing. SigLIP adds a bias before its sigmoid,
    the same for all classes: it changes no order and no softmax over them, so it isn't needed.

    Raises:
        RemodalError: It isn't there, isn't whole, or no encoder.
    """

    def __init__(self, source: str, engine: Engine) -> None:
        self.folder, self._source, self._engine = located(source), source, engine
        model = loading.load_model(self.folder, weightless=engine.weightless)
        scale = getattr(model, "logit_scale", getattr(model, "logit_scale_a", None))
        self.logit_scale = None if scale is None or engine.weightless else float(scale.detach().exp())
        self._model: Any = engine.placed(model)
        with loading.in_folder(self.folder, loading.VALID):
            self._anatomies = take_apart(self._model)

    @cached_property
    def digest(self) -> str:
        """Hash of the weights, the settings and the vocabulary in the folder."""
        found = hashlib.sha256()
        for file in sorted([*self.folder.iterdir(), *self.folder.glob("*/config.json")]):
            if file.suffix in READ and file.is_file():
                with file.open("rb") as stream:
                    found.update(f"{file.name}:{hashlib.file_digest(stream, 'sha256').hexdigest()}".encode())
        return found.hexdigest()

    def can_read(self, modality: str) -> bool:
        """Whether one of its encoders can."""
        return any(kind in self._anatomies for kind in KINDS[modality])

    def kind(self, modality: str) -> str:
        """The kind of its encoder that reads a modality; RemodalError where none does."""
        for kind in KINDS[modality]:
            if kind in self._anatomies:
                return kind
        reads = ", ".join(one for one in KINDS if self.can_read(one))
        found = f"setting backbone.{modality}: found {self._source!r}, a {type(self._model).__name__}"
        raise RemodalError(f"{found}; valid: a model that reads {modality}; this one reads {reads}")

    def text(self) -> TransformerText:
        """Its encoder of sentences."""
        self.kind("text")
        anatomy, wording = self._anatomies["text"], loading.load_wording(self.folder, self._model)
        if anatomy.summary_width is None and (pooling := loading.load_pooling(self.folder)) != "mean":
            anatomy = replace(anatomy, summary=POOLED[pooling], summary_width=anatomy.width)
        return TransformerText(anatomy, wording, max(1, len(anatomy.layers) // 2), self._engine)

    def encoder(self, kind: str, settings: PretrainedSettings, text_width: int, *, aligned: bool) -> Encoder:
        """Its encoder of pictures, clips or sounds; aligned: the text space, of this width, is its own."""
        anatomy = self._anatomies[kind]
        depth = len(anatomy.layers)
        levels = sorted({max(1, int(share * depth + 0.5)) for share in settings.levels})
        below = 0 if anatomy.whole else settings.prompt_from_layer
        use = Use(levels, text_width, below, self._engine, aligned)
        if kind == "audio":
            made = TransformerAudio(anatomy, use, loading.load_extractor(self.folder))
            return self._fitting(made, anatomy, "audio", np.zeros(RATE, np.float32))
        preprocessing, black = loading.load_preprocessing(self.folder), np.zeros((8, 8, 3), np.uint8)
        if kind == "vision":
            seen = TransformerVision(anatomy, use, preprocessing)
        else:
            seen = TransformerVideo(anatomy, use, preprocessing, self._model.config.num_frames)
        return self._fitting(seen, anatomy, "image", black)

    @torch.no_grad()
    def _fitting(self, encoder: Transformer, anatomy: Anatomy, modality: str, medium: Any) -> Encoder:
        """The encoder, once it has read something: what a folder says of media may be of another model."""
        if self._engine.weightless:
            return encoder
        with in_one_line(f"{self.folder}: what it says of media doesn't fit its model"):
            stored = self._engine.here(torch.from_numpy(encoder.prepare(modality, medium)))
            patches = anatomy.embed(encoder.inputs(stored)).shape[1] - anatomy.special
            if patches != math.prod(anatomy.places(patches)):
                raise ValueError(f"found {patches} patches")
        if modality == "audio":  # where a model takes any length, its grid doesn't say how many there are
            encoder.cost = cost_of(patches)
        return encoder
