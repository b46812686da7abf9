"""Encoders of sound: the Audio Spectrogram Transformer and Whisper's encoder.

Papers: Gong et al., "AST", Interspeech 2021; Radford et al., "Robust speech recognition via large-scale weak
supervision", ICML 2023.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.nn.functional import gelu

from remodal.backbones.transformer.anatomies.anatomy import Anatomy, Inputs


def ast(model: Any) -> dict[str, Anatomy]:
    """An ``ASTModel``: log-mel pictures of the model's own length. Its summary is the mean of CLS and distillation."""
    pitches, times = model.embeddings.get_shape(model.config)
    return {
        "audio": Anatomy(
            embed=lambda inputs: model.embeddings(inputs["input_values"]),
            layers=tuple(model.layers),
            norm=model.layernorm,
            summary=lambda last, inputs: (last[:, 0] + last[:, 1]) / 2,
            width=model.config.hidden_size,
            special=2,
            grid=(1, pitches, times),
        )
    }


def whisper(model: Any) -> dict[str, Anatomy]:
    """The encoder of a ``WhisperModel``: log-mel pictures of 30 seconds. Its summary is the mean over all of them."""
    encoder = model.encoder

    def embed(inputs: Inputs) -> Tensor:
        sound = gelu(encoder.conv2(gelu(encoder.conv1(inputs["input_features"]))))
        tokens: Tensor = sound.permute(0, 2, 1) + encoder.embed_positions.weight
        return tokens

    return {
        "audio": Anatomy(
            embed=embed,
            layers=tuple(encoder.layers),
            norm=encoder.layer_norm,
            summary=lambda last, inputs: last.mean(1),
            width=model.config.d_model,
            grid=(1, 1, model.config.max_source_positions),
            beside=lambda tokens, inputs: {"attention_mask": None},
        )
    }
