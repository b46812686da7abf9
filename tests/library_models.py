"""A small model of each family that the library has, with what it reads, and what the library itself makes of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
import transformers as hf
from torch import Tensor, nn

LAYERS, WIDTH, LENGTH, WORDS = 3, 32, 5, 60
SHAPE = {"hidden_size": WIDTH, "intermediate_size": 48, "num_attention_heads": 4, "num_hidden_layers": LAYERS}
PICTURE = {**SHAPE, "image_size": 32, "patch_size": 8}
TEXT = {**SHAPE, "vocab_size": WORDS, "max_position_embeddings": 16, "pad_token_id": 1}
ENDED = {**TEXT, "bos_token_id": 0, "eos_token_id": WORDS - 1}
MARKS = {"pad_token_id": 0, "bos_token_id": 0, "eos_token_id": 0, "decoder_start_token_id": 0}

Own = Callable[[Any, Mapping[str, Tensor]], tuple[Tensor, Tensor]]


def random(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)))


def pictures(height: int = 32, width: int = 32) -> dict[str, Tensor]:
    return {"pixel_values": random(3, 3, height, width)}


def sentences(last: int = WORDS - 1) -> dict[str, Tensor]:
    """Three sentences of 4, 7 and 5 word pieces, padded; each ends with ``last``."""
    pieces = torch.randint(3, WORDS - 1, (3, 7), generator=torch.Generator().manual_seed(0))
    mask = torch.arange(7) < torch.tensor([[4], [7], [5]])
    pieces[torch.arange(3), mask.sum(1) - 1] = last
    return {"input_ids": pieces.where(mask, 1), "attention_mask": mask.long()}


def pooled(model: Any, inputs: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
    output = model(**inputs)
    return output.last_hidden_state, output.pooler_output


def image_features(model: Any, inputs: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
    output = model.get_image_features(**inputs)
    return output.last_hidden_state, output.pooler_output


def text_features(model: Any, inputs: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
    output = model.get_text_features(**inputs)
    return output.last_hidden_state, output.pooler_output


def first_token(model: Any, inputs: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
    last = model(**inputs).last_hidden_state
    return last, last[:, 0]


def mean_token(model: Any, inputs: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
    last = (model.encoder if isinstance(model, hf.WhisperModel) else model)(**inputs).last_hidden_state
    return last, last.mean(1)


def mean_word_piece(model: Any, inputs: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
    last, lengths = model(**inputs).last_hidden_state, inputs["attention_mask"].sum(1)
    return last, torch.stack([item[:length].mean(0) for item, length in zip(last, lengths, strict=True)])


@dataclass(frozen=True)
class Case:
    """One encoder of one family."""

    model: Callable[[], nn.Module]
    reads: str
    inputs: Mapping[str, Tensor]
    own: Own
    """Model, inputs -> the library's ``last_hidden_state`` and one vector an input."""
    special: int = 0
    spread: float = 0.3
    """Of the random weights: with less, what an encoder of waveforms says hardly depends on the wave."""


def clip() -> nn.Module:
    return hf.CLIPModel(hf.CLIPConfig(text_config=ENDED, vision_config=PICTURE, projection_dim=16))


def older_clip() -> nn.Module:
    return hf.CLIPModel(hf.CLIPConfig(text_config={**ENDED, "eos_token_id": 2}, vision_config=PICTURE))


def siglip() -> nn.Module:
    return hf.SiglipModel(hf.SiglipConfig(text_config={**ENDED, "projection_size": WIDTH}, vision_config=PICTURE))


def siglip2() -> nn.Module:
    vision = {**SHAPE, "patch_size": 8, "num_patches": 16}
    return hf.Siglip2Model(hf.Siglip2Config(text_config={**ENDED, "projection_size": WIDTH}, vision_config=vision))


def clap() -> nn.Module:
    audio = {
        "spec_size": 64,
        "num_mel_bins": 16,
        "patch_embeds_hidden_size": 16,
        "depths": [1, 1],
        "num_attention_heads": [2, 2],
        "window_size": 4,
        "hidden_size": WIDTH,
    }
    return hf.ClapModel(hf.ClapConfig(text_config=TEXT, audio_config=audio, projection_dim=16))


def dinov2(**settings: Any) -> nn.Module:
    return hf.Dinov2Model(hf.Dinov2Config(**PICTURE, **settings))


def with_registers() -> nn.Module:
    return hf.Dinov2WithRegistersModel(hf.Dinov2WithRegistersConfig(**PICTURE, num_register_tokens=2))


def whisper() -> nn.Module:
    shape = {"d_model": WIDTH, "encoder_layers": LAYERS, "encoder_attention_heads": 4, "encoder_ffn_dim": 48}
    small = {"decoder_layers": 1, "decoder_attention_heads": 2, "decoder_ffn_dim": 16, "vocab_size": WORDS}
    return hf.WhisperModel(hf.WhisperConfig(**shape, **small, num_mel_bins=8, max_source_positions=12, **MARKS))


def wav2vec2(model: Callable[[Any], nn.Module], config: Callable[..., Any], **settings: Any) -> nn.Module:
    convolutions = {"conv_dim": (32, 32), "conv_stride": (4, 2), "conv_kernel": (8, 4), "num_feat_extract_layers": 2}
    positions = {"num_conv_pos_embeddings": 4, "num_conv_pos_embedding_groups": 2, "vocab_size": WORDS}
    return model(config(**SHAPE, **convolutions, **positions, **settings))


def metaclip2() -> nn.Module:
    return hf.MetaClip2Model(hf.MetaClip2Config(text_config=ENDED, vision_config=PICTURE, projection_dim=16))


def videomae(**settings: Any) -> nn.Module:
    return hf.VideoMAEModel(hf.VideoMAEConfig(**PICTURE, num_frames=4, **settings))


WAVES = {"input_values": random(3, 400)}
CLIPS = {"pixel_values": random(3, 4, 3, 32, 32)}
PADDED_PICTURES = {
    "pixel_values": random(3, 12, 192),
    "pixel_attention_mask": (torch.arange(12) < torch.tensor([[12], [6], [8]])).long(),
    "spatial_shapes": torch.tensor([[3, 4], [2, 3], [4, 2]]),
}
CASES = {
    "CLIP, vision": Case(clip, "vision", pictures(), image_features, special=1),
    "CLIP, text": Case(clip, "text", sentences(), text_features),
    "CLIP as once saved, text": Case(older_clip, "text", sentences(), text_features),
    "MetaCLIP 2, vision": Case(metaclip2, "vision", pictures(), image_features, special=1),
    "MetaCLIP 2, text": Case(metaclip2, "text", sentences(), text_features),
    "SigLIP, vision": Case(siglip, "vision", pictures(), image_features),
    "SigLIP, text": Case(siglip, "text", {"input_ids": sentences()["input_ids"]}, text_features),
    "SigLIP2, vision": Case(siglip2, "vision", PADDED_PICTURES, image_features),
    "SigLIP2, text": Case(siglip2, "text", sentences(), text_features),
    "CLAP, text": Case(clap, "text", sentences(), text_features),
    "ViT": Case(lambda: hf.ViTModel(hf.ViTConfig(**PICTURE)), "vision", pictures(), first_token, special=1),
    "DeiT": Case(lambda: hf.DeiTModel(hf.DeiTConfig(**PICTURE)), "vision", pictures(), first_token, special=2),
    "DINOv2": Case(dinov2, "vision", pictures(), pooled, special=1),
    "DINOv2, giant": Case(lambda: dinov2(use_swiglu_ffn=True), "vision", pictures(), pooled, special=1),
    "DINOv2 with registers": Case(with_registers, "vision", pictures(), pooled, special=3),
    "DINOv3": Case(
        lambda: hf.DINOv3ViTModel(hf.DINOv3ViTConfig(**PICTURE, num_register_tokens=2)),
        "vision",
        pictures(),
        pooled,
        special=3,
    ),
    "AST": Case(
        lambda: hf.ASTModel(hf.ASTConfig(**SHAPE, patch_size=8, max_length=40, num_mel_bins=16)),
        "audio",
        {"input_values": random(3, 40, 16)},
        pooled,
        special=2,
    ),
    "Whisper": Case(whisper, "audio", {"input_features": random(3, 8, 24)}, mean_token),
    "wav2vec 2.0": Case(lambda: wav2vec2(hf.Wav2Vec2Model, hf.Wav2Vec2Config), "audio", WAVES, mean_token, spread=1.0),
    "wav2vec 2.0, large": Case(
        lambda: wav2vec2(
            hf.Wav2Vec2Model, hf.Wav2Vec2Config, do_stable_layer_norm=True, feat_extract_norm="layer", conv_bias=True
        ),
        "audio",
        WAVES,
        mean_token,
        spread=1.0,
    ),
    "HuBERT": Case(lambda: wav2vec2(hf.HubertModel, hf.HubertConfig), "audio", WAVES, mean_token, spread=1.0),
    "VideoMAE": Case(videomae, "video", CLIPS, mean_token),
    "VideoMAE before fine-tuning": Case(lambda: videomae(use_mean_pooling=False), "video", CLIPS, mean_token),
    "BERT": Case(lambda: hf.BertModel(hf.BertConfig(**TEXT)), "text", sentences(), mean_word_piece),
    "RoBERTa": Case(lambda: hf.RobertaModel(hf.RobertaConfig(**TEXT)), "text", sentences(), mean_word_piece),
    "XLM-RoBERTa": Case(lambda: hf.XLMRobertaModel(hf.XLMRobertaConfig(**TEXT)), "text", sentences(), mean_word_piece),
    "CamemBERT": Case(lambda: hf.CamembertModel(hf.CamembertConfig(**TEXT)), "text", sentences(), mean_word_piece),
    "DistilBERT": Case(
        lambda: hf.DistilBertModel(
            hf.DistilBertConfig(vocab_size=WORDS, dim=WIDTH, n_layers=LAYERS, n_heads=4, hidden_dim=48)
        ),
        "text",
        sentences(),
        mean_word_piece,
    ),
}
"""Whose layers take prompts."""

WHOLE = {
    "ConvNeXt": Case(
        lambda: hf.ConvNextModel(hf.ConvNextConfig(hidden_sizes=[8, 8, 8, WIDTH], depths=[1] * 4)),
        "vision",
        pictures(64, 64),
        first_token,
    ),
    "Swin": Case(
        lambda: hf.SwinModel(
            hf.SwinConfig(image_size=32, patch_size=4, embed_dim=16, depths=[1, 1], num_heads=[2, 2], window_size=4)
        ),
        "vision",
        pictures(),
        first_token,
    ),
    "BEiT": Case(lambda: hf.BeitModel(hf.BeitConfig(**PICTURE)), "vision", pictures(), first_token, special=1),
    "MPNet": Case(lambda: hf.MPNetModel(hf.MPNetConfig(**TEXT)), "text", sentences(), mean_word_piece),
    "GPT-2": Case(
        lambda: hf.GPT2Model(hf.GPT2Config(vocab_size=WORDS, n_positions=16, n_embd=WIDTH, n_layer=LAYERS, n_head=4)),
        "text",
        sentences(),
        mean_word_piece,
    ),
    "WavLM": Case(lambda: wav2vec2(hf.WavLMModel, hf.WavLMConfig), "audio", WAVES, mean_token),
    "Speech2Text": Case(
        lambda: hf.Speech2TextModel(
            hf.Speech2TextConfig(
                vocab_size=WORDS, d_model=WIDTH, encoder_layers=2, encoder_attention_heads=4, encoder_ffn_dim=48,
                decoder_layers=1, decoder_attention_heads=2, decoder_ffn_dim=16, input_feat_per_channel=8, **MARKS,
            )
        ),
        "audio",
        {"input_features": random(3, 40, 8)},
        mean_token,
    ),
}  # fmt: skip
"""Classes that nobody here knows."""
