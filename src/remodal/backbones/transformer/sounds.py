"""Sounds through a transformer, as the model's own feature extractor prepares them: from the waveform, not a picture.

Decoded sounds have 16 kHz (:mod:`remodal.modalities.audio`); where a model was trained at another rate they are
resampled, so that a model of 48 kHz hears nothing above 8 kHz.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from remodal.backbones.transformer.anatomies import Anatomy, Inputs
from remodal.backbones.transformer.layers import Transformer, Use
from remodal.modalities.audio import RATE, resampled

SECONDS = 10
"""Of a sound, where a model takes any length. A shorter one is repeated, as CLAP's are, and a longer one is cut."""
SHORTEST = RATE // 10
"""Samples: a shorter sound is filled up with silence, since extractors need one window at least."""


class TransformerAudio(Transformer):
    """Reads waveforms; a sound longer than the model takes, or than ``SECONDS``, is cut.

    extractor: the model's feature extractor. What it gives of a sound is stored in 16 bits.
    """

    name = "audio"

    def __init__(self, anatomy: Anatomy, use: Use, extractor: Any) -> None:
        super().__init__(anatomy, use)
        self._extractor = extractor
        self._given: str = extractor.model_input_names[0]
        self._fused = "is_longer" in extractor.model_input_names and extractor.truncation == "fusion"
        self._any_length = self._heard(np.zeros(RATE)).shape != self._heard(np.zeros(2 * RATE)).shape
        self._shape = self._extracted(np.zeros(RATE, np.float32)).shape[1:]

    def prepare(self, modality: str, medium: NDArray[np.float32]) -> NDArray[np.uint8]:
        """What the extractor gives of a sound, as bytes ``[1, rows, 2 * columns]``: two a number."""
        found = self._extracted(medium).astype("<f2")
        return found.reshape(1, -1, found.shape[-1]).view(np.uint8)

    def inputs(self, stored: Tensor) -> Inputs:
        """What the extractor gave, ``[n, ...]``."""
        numbers = stored.contiguous().view(torch.float16).to(self.engine.dtype)
        given = {self._given: numbers.view(len(stored), *self._shape)}
        # of a single sound, the extractor says so whether it is or not: in training some of each batch were
        return {**given, "is_longer": stored.new_ones(len(stored), 1, dtype=torch.bool)} if self._fused else given

    def _extracted(self, wave: NDArray[np.float32]) -> NDArray[np.float32]:
        rate: int = self._extractor.sampling_rate
        wave = np.pad(wave, (0, max(0, SHORTEST - len(wave))))
        if rate != RATE:
            wave = resampled(wave, RATE, rate)
        if self._any_length:
            wave = np.resize(wave, SECONDS * rate)
        return self._heard(wave)

    def _heard(self, wave: NDArray[Any]) -> NDArray[np.float32]:
        """What the extractor gives of a sound at the model's own rate."""
        most = getattr(self._extractor, "nb_max_samples", None)  # CLAP's would take a part of a longer one at random
        found = self._extractor(wave[:most], sampling_rate=self._extractor.sampling_rate, return_tensors="np")
        return np.asarray(found[self._given], np.float32)
