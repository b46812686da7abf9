"""Towers of the small models, by the family that is tried, and what they read."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import torch
from torch import Tensor

from remodal.backbones import Backbone, Tokens, Tower, load_backbone
from remodal.features.extract import stem
from remodal.modalities.audio import RATE

LENGTH = 3
READ_BY = {
    "AST": {"audio": "AST", "text": "BERT"},
    "CLAP": {"audio": "CLAP", "text": "CLAP"},
    "CLIP": dict.fromkeys(("image", "video", "audio", "depth", "text"), "CLIP"),
    "DINOv2": {"image": "DINOv2", "depth": "DINOv2", "text": "BERT"},
    "SigLIP": dict.fromkeys(("image", "video", "audio", "depth", "text"), "SigLIP"),
    "SigLIP2": {"image": "SigLIP2", "text": "SigLIP2"},
    "Swin": {"image": "Swin", "depth": "Swin", "text": "MPNet"},
    "VideoMAE": {"video": "VideoMAE", "depth": "VideoMAE", "text": "BERT"},
    "Wav2Vec2": {"audio": "Wav2Vec2", "text": "BERT"},
    "Whisper": {"audio": "Whisper", "text": "BERT"},
}
"""Who reads what, by the family that is tried."""
WHOLE = {("CLAP", "audio"), ("Swin", "image"), ("Swin", "depth"), ("Swin", "text")}
"""Where prompts act on the output alone."""
TONES = {"low": 220.0, "high": 2500.0}
COLOURS = {"red": (200, 20, 20), "blue": (20, 20, 200)}


def write_clip(file: Path, frames: Any) -> None:
    with av.open(str(file), "w") as output:
        stream = output.add_stream("mpeg4", rate=Fraction(8))
        stream.width, stream.height, stream.pix_fmt = frames.shape[2], frames.shape[1], "yuv420p"
        for frame in frames:
            output.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        output.mux(stream.encode(None))


def settings_of(family: str, models: Path) -> dict[str, str]:
    return {modality: str(models / name) for modality, name in READ_BY[family].items()}


def loaded(family: str, models: Path, cache: Path, **settings: object) -> Backbone:
    return load_backbone("towers", cache, settings={**settings_of(family, models), **settings})


def sound(seconds: float, hertz: float = 440.0) -> Any:
    return np.sin(2 * np.pi * hertz * np.arange(int(seconds * RATE)) / RATE).astype(np.float32)


def media_of(modality: str) -> list[Any]:
    """Three decoded media that differ."""
    draws = np.random.default_rng(1)
    if modality == "text":
        return ["a bell", "the sea at night", "no"]
    if modality == "audio":
        return [sound(0.4), sound(0.9, 2000), sound(0.2, 100)]
    if modality == "depth":
        return [draws.uniform(1, 5, (pages, 30, 40)).astype(np.float32) for pages in (1, 2, 1)]
    return [
        draws.integers(0, 256, (*frames, 40, 48, 3), dtype=np.uint8) for frames in [(8,) * (modality == "video")] * 3
    ]


def read(tower: Tower, modality: str, media: list[Any]) -> Tokens:
    return stem([(modality, tower.encoder.prepare(modality, one)) for one in media], tower.encoder)


def prepared(backbone: Backbone) -> list[Any]:
    """What its towers make of each medium of every modality."""
    return [
        backbone.tower(modality).encoder.prepare(modality, medium)
        for modality in sorted(backbone.reads)
        for medium in media_of(modality)
    ]


def prompts_of(tower: Tower, *first: int) -> Tensor:
    return torch.randn(*first, tower.layers, 2, LENGTH, tower.width, generator=torch.Generator().manual_seed(0))
