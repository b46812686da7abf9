"""Encoders of the ``transformers`` library, taken apart so that every layer can take prompts, or else its output."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from remodal.backbones.transformer.anatomies import audio, paired, text, vision
from remodal.backbones.transformer.anatomies.anatomy import Anatomy, Inputs, run
from remodal.backbones.transformer.anatomies.whole import whole
from remodal.backbones.transformer.attention import take_prompts

__all__ = ["FAMILIES", "Anatomy", "Inputs", "run", "take_apart"]

FAMILIES: dict[str, Callable[[Any], dict[str, Anatomy]]] = {
    "ASTModel": audio.ast,
    "BertModel": text.bert,
    "CamembertModel": text.bert,
    "CLIPModel": paired.clip,
    "ClapModel": paired.clap,
    "DINOv3ViTModel": vision.dinov3,
    "DeiTModel": vision.vit,
    "Dinov2Model": vision.dinov2,
    "Dinov2WithRegistersModel": vision.dinov2,
    "DistilBertModel": text.bert,
    "HubertModel": audio.wav2vec2,
    "MetaClip2Model": paired.clip,
    "RobertaModel": text.bert,
    "Siglip2Model": paired.siglip2,
    "SiglipModel": paired.siglip,
    "ViTModel": vision.vit,
    "VideoMAEModel": vision.videomae,
    "Wav2Vec2Model": audio.wav2vec2,
    "WhisperModel": audio.whisper,
    "XLMRobertaModel": text.bert,
}
"""How a model is taken apart so that each layer takes prompts, by its class: what ``AutoModel`` gives."""


def take_apart(model: Any) -> dict[str, Anatomy]:
    """The encoders of a model, by what they read: ``vision``, ``video``, ``audio`` or ``text``.

    model: a ``PreTrainedModel``. It is frozen and used in place; called as a whole it works as before.

    A class that isn't one of :data:`FAMILIES` is read as a whole.

    Raises:
        RemodalError: It can't be read as a whole either.
    """
    model.eval().requires_grad_(False)
    found = type(model).__name__
    if found not in FAMILIES:
        return whole(model)
    take_prompts(model)
    return FAMILIES[found](model)
