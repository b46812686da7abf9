"""Encoders of the ``transformers`` library, taken apart so that every layer can take prompts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from remodal.backbones.transformer.anatomies import audio, paired, text, vision
from remodal.backbones.transformer.anatomies.anatomy import Anatomy, Inputs, run
from remodal.backbones.transformer.attention import take_prompts
from remodal.errors import UnknownName

__all__ = ["FAMILIES", "Anatomy", "Inputs", "run", "take_apart"]

FAMILIES: dict[str, Callable[[Any], dict[str, Anatomy]]] = {
    "ASTModel": audio.ast,
    "BertModel": text.bert,
    "CLIPModel": paired.clip,
    "ClapModel": paired.clap,
    "DINOv3ViTModel": vision.dinov3,
    "Dinov2Model": vision.dinov2,
    "Dinov2WithRegistersModel": vision.dinov2,
    "DistilBertModel": text.bert,
    "RobertaModel": text.bert,
    "Siglip2Model": paired.siglip2,
    "SiglipModel": paired.siglip,
    "ViTModel": vision.vit,
    "VideoMAEModel": vision.videomae,
    "WhisperModel": audio.whisper,
    "XLMRobertaModel": text.bert,
}
"""How a model is taken apart, by its class: what ``AutoModel`` gives for a checkpoint."""


def take_apart(model: Any) -> dict[str, Anatomy]:
    """The encoders of a model, by what they read: ``vision``, ``video``, ``audio`` or ``text``.

    model: a ``PreTrainedModel``. It is frozen and used in place; called as a whole it works as before.

    Raises:
        UnknownName: Its class isn't one of :data:`FAMILIES`.
    """
    found = type(model).__name__
    if found not in FAMILIES:
        raise UnknownName("class of model", found, FAMILIES)
    take_prompts(model.eval().requires_grad_(False))
    return FAMILIES[found](model)
