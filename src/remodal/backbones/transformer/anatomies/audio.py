"""Encoders of sound: the Audio Spectrogram Transformer, Whisper's encoder, wav2vec 2.0 and HuBERT.

Papers: Gong et al., "AST", Interspeech 2021; Radford et al., "Robust speech recognition via large-scale weak
supervision", ICML 2023; Baevski et al., "wav2vec 2.0", NeurIPS 2020; Hsu et al., "HuBERT", TASLP 2021.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torch.nn.functional import gelu

from remodal.backbones.transformer.anatomies.anatomy import Anatomy, Inputs, mean_token


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
            summary=mean_token,
            width=model.config.d_model,
            grid=(1, 1, model.config.max_source_positions),
            beside=lambda tokens, inputs: {"attention_mask": None},
        )
    }


def wav2vec2(model: Any) -> dict[str, Anatomy]:
    """A ``Wav2Vec2Model`` or ``HubertModel``: waveforms of any length. Its summary is the mean over time."""
    encoder, normed_last = model.encoder, model.config.do_stable_layer_norm

    def embed(inputs: Inputs) -> Tensor:
        projected = model.feature_projection(model.feature_extractor(inputs["input_values"]).mT)
        windows = projected[0] if isinstance(projected, tuple) else projected
        tokens: Tensor = windows + encoder.pos_conv_embed(windows)
        return tokens if normed_last else encoder.layer_norm(tokens)

    return {
        "audio": Anatomy(
            embed=embed,
            layers=tuple(encoder.layers),
            norm=encoder.layer_norm if normed_last else nn.Identity(),
            summary=mean_token,
            width=model.config.hidden_size,
            grid=(1, 1, 0),
            beside=lambda tokens, inputs: {"attention_mask": None},
        )
    }
