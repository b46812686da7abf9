"""Small models of the library's real classes, with random weights, in folders as the library writes them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import transformers as hf
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from torch import nn

LAYERS, WIDTH, SIZE, PATCH, CONTEXT = 3, 32, 32, 8, 24
SHAPE = {"hidden_size": WIDTH, "intermediate_size": 64, "num_attention_heads": 4, "num_hidden_layers": LAYERS}
PICTURE = {**SHAPE, "image_size": SIZE, "patch_size": PATCH}


def save_clip(folder: Path, seed: int = 0) -> Path:
    """A small CLIP model and a tokenizer of single letters."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    words = ["<|startoftext|>", *letters, *(letter + "</w>" for letter in letters), "<|endoftext|>"]
    ids = {"bos_token_id": 0, "eos_token_id": len(words) - 1, "pad_token_id": len(words) - 1}
    torch.manual_seed(seed)
    config = hf.CLIPConfig(
        text_config={**SHAPE, **ids, "vocab_size": len(words), "max_position_embeddings": CONTEXT},
        vision_config=PICTURE,
        projection_dim=16,
        initializer_factor=4.0,  # the library's default leaves so small a model nearly constant
    )
    hf.CLIPModel(config).save_pretrained(folder)
    hf.CLIPTokenizer(vocab={word: index for index, word in enumerate(words)}, merges=[]).save_pretrained(folder)
    pictures = hf.CLIPImageProcessor(size={"shortest_edge": SIZE}, crop_size={"height": SIZE, "width": SIZE})
    pictures.save_pretrained(folder)
    return folder


def save_siglip(folder: Path, seed: int = 0) -> Path:
    """A small SigLIP model; its settings say nothing of how sentences are filled up, as those of SigLIP2 do."""
    words = save_letters(folder, "</s>", "{} </s>", model_max_length=CONTEXT)
    text = {**SHAPE, "vocab_size": words, "max_position_embeddings": CONTEXT, "projection_size": WIDTH}
    model = hf.SiglipModel(hf.SiglipConfig(text_config=text, vision_config=PICTURE))
    scale = {"logit_scale": torch.tensor([2.0]), "logit_bias": torch.tensor([-3.0])}
    save_random(model, folder, seed).load_state_dict(scale, strict=False)
    model.save_pretrained(folder)
    hf.SiglipImageProcessor(size={"height": SIZE, "width": SIZE}).save_pretrained(folder)
    return folder


def save_siglip2(folder: Path, seed: int = 0) -> Path:
    """A small SigLIP2 model for pictures of any shape (NaFlex)."""
    words = save_letters(folder, "</s>", "{} </s>", model_max_length=CONTEXT)
    text = {**SHAPE, "vocab_size": words, "max_position_embeddings": CONTEXT, "projection_size": WIDTH}
    vision = {**SHAPE, "patch_size": PATCH, "num_patches": 9}
    save_random(hf.Siglip2Model(hf.Siglip2Config(text_config=text, vision_config=vision)), folder, seed)
    hf.Siglip2ImageProcessor(patch_size=PATCH, max_num_patches=(SIZE // PATCH) ** 2).save_pretrained(folder)
    return folder


def save_dinov2(folder: Path, seed: int = 0) -> Path:
    """A small DINOv2 model: of photographs it sees the middle."""
    save_random(hf.Dinov2Model(hf.Dinov2Config(**PICTURE)), folder, seed)
    pictures = hf.BitImageProcessor(size={"shortest_edge": SIZE + 8}, crop_size={"height": SIZE, "width": SIZE})
    pictures.save_pretrained(folder)
    return folder


def save_videomae(folder: Path, seed: int = 0) -> Path:
    """A small VideoMAE model of 16 frames."""
    save_random(hf.VideoMAEModel(hf.VideoMAEConfig(**PICTURE, num_frames=16)), folder, seed)
    pictures = hf.VideoMAEImageProcessor(size={"shortest_edge": SIZE}, crop_size={"height": SIZE, "width": SIZE})
    pictures.save_pretrained(folder)
    return folder


def save_ast(folder: Path, seed: int = 0) -> Path:
    """A small Audio Spectrogram Transformer: half a second."""
    save_random(hf.ASTModel(hf.ASTConfig(**SHAPE, patch_size=8, max_length=48, num_mel_bins=16)), folder, seed)
    hf.ASTFeatureExtractor(num_mel_bins=16, max_length=48).save_pretrained(folder)
    return folder


def save_whisper(folder: Path, seed: int = 0) -> Path:
    """A small Whisper: one second."""
    shape = {"d_model": WIDTH, "encoder_layers": LAYERS, "encoder_attention_heads": 4, "encoder_ffn_dim": 64}
    rest = {"decoder_layers": 1, "decoder_attention_heads": 2, "decoder_ffn_dim": 16, "vocab_size": 8}
    marks = dict.fromkeys(("pad_token_id", "bos_token_id", "eos_token_id", "decoder_start_token_id"), 0)
    config = hf.WhisperConfig(**shape, **rest, **marks, num_mel_bins=8, max_source_positions=50)
    save_random(hf.WhisperModel(config), folder, seed)
    hf.WhisperFeatureExtractor(feature_size=8, chunk_length=1).save_pretrained(folder)
    return folder


def save_clap(folder: Path, seed: int = 0, fused: bool = False) -> Path:
    """A small CLAP model: one second of 48 kHz."""
    words = save_letters(folder, "<pad>", "<s> {} </s>", model_max_length=CONTEXT)
    audio: dict[str, Any] = {
        "spec_size": 64, "num_mel_bins": 16, "patch_embeds_hidden_size": 16, "depths": [1, 1], "hidden_size": WIDTH,
        "num_attention_heads": [2, 2], "window_size": 4, "enable_fusion": fused, "aff_block_r": 2,
    }  # fmt: skip
    text = {**SHAPE, "vocab_size": words, "max_position_embeddings": CONTEXT + 2, "pad_token_id": 1}
    save_random(hf.ClapModel(hf.ClapConfig(text_config=text, audio_config=audio, projection_dim=16)), folder, seed)
    truncation = "fusion" if fused else "rand_trunc"
    hf.ClapFeatureExtractor(feature_size=16, max_length_s=1, truncation=truncation).save_pretrained(folder)
    return folder


def save_bert(folder: Path, seed: int = 0) -> Path:
    """A small BERT."""
    words = save_letters(folder, "<pad>", "<s> {} </s>", model_max_length=CONTEXT)
    config = hf.BertConfig(**SHAPE, vocab_size=words, max_position_embeddings=CONTEXT)
    save_random(hf.BertModel(config), folder, seed)
    return folder


def save_mpnet(folder: Path, seed: int = 0) -> Path:
    """A small MPNet: no layer of it takes prompts."""
    words = save_letters(folder, "<pad>", "<s> {} </s>", model_max_length=CONTEXT)
    save_random(
        hf.MPNetModel(hf.MPNetConfig(**SHAPE, vocab_size=words, max_position_embeddings=CONTEXT + 2)), folder, seed
    )
    return folder


def save_swin(folder: Path, seed: int = 0) -> Path:
    """A small Swin Transformer: windows, and widths that grow."""
    depths = {"depths": [1, 1], "num_heads": [2, 2], "window_size": 4}
    config = hf.SwinConfig(image_size=SIZE, patch_size=4, embed_dim=WIDTH // 2, **depths)
    save_random(hf.SwinModel(config), folder, seed, spread=0.1)  # larger weights magnify rounding
    hf.ViTImageProcessor(size={"height": SIZE, "width": SIZE}).save_pretrained(folder)
    return folder


def save_wav2vec2(folder: Path, seed: int = 0) -> Path:
    """A small wav2vec 2.0: waveforms of any length, a window each 20 ms."""
    windows = {"conv_dim": (32, 32), "conv_stride": (20, 16), "conv_kernel": (40, 16), "num_feat_extract_layers": 2}
    places = {"num_conv_pos_embeddings": 4, "num_conv_pos_embedding_groups": 2, "vocab_size": 8}
    save_random(hf.Wav2Vec2Model(hf.Wav2Vec2Config(**SHAPE, **windows, **places)), folder, seed)
    hf.Wav2Vec2FeatureExtractor().save_pretrained(folder)
    return folder


def save_letters(folder: Path, filler: str, sentence: str, **said: object) -> int:
    """A tokenizer of letters, and how many word pieces it knows."""
    marks = ["<s>", "<pad>", "</s>", "<unk>"]
    pieces = [*marks, *map(chr, range(32, 127))]
    tokenizer = Tokenizer(models.WordLevel({piece: index for index, piece in enumerate(pieces)}, unk_token=marks[3]))
    tokenizer.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    special = [(mark, index) for index, mark in enumerate(marks)]
    tokenizer.post_processor = processors.TemplateProcessing(
        single=sentence.replace("{}", "$A"), special_tokens=special
    )
    names = {"pad_token": filler, "eos_token": "</s>", "unk_token": "<unk>"}
    hf.PreTrainedTokenizerFast(tokenizer_object=tokenizer, **names, **said).save_pretrained(folder)
    return len(pieces)


def save_random(model: Any, folder: Path, seed: int, spread: float = 0.2) -> Any:
    """Save a model in which no two layers, tokens or heads are alike, and give it back."""
    torch.manual_seed(seed)
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=spread)
    model.save_pretrained(folder)
    return model


SAVED: dict[str, Callable[[Path], Path]] = {
    "AST": save_ast,
    "BERT": save_bert,
    "CLAP": save_clap,
    "CLIP": save_clip,
    "DINOv2": save_dinov2,
    "MPNet": save_mpnet,
    "SigLIP": save_siglip,
    "SigLIP2": save_siglip2,
    "Swin": save_swin,
    "VideoMAE": save_videomae,
    "Wav2Vec2": save_wav2vec2,
    "Whisper": save_whisper,
}
