"""Two encoders with one space for both: CLIP, SigLIP, SigLIP2 (vision and text), CLAP (audio and text).

Papers: Radford et al., "Learning transferable visual models from natural language supervision", ICML 2021; Zhai et al.,
"Sigmoid loss for language image pre-training", ICCV 2023; Tschannen et al., "SigLIP 2", arXiv 2502.14786, 2025; Wu et
al., "Large-scale contrastive language-audio pretraining", ICASSP 2023.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from remodal.backbones.transformer.anatomies.anatomy import Anatomy, Inputs, mask_of
from remodal.backbones.transformer.anatomies.text import bert
from remodal.backbones.transformer.attention import PromptedOutput

LEGACY_END = 2
"""End token in the settings of CLIP models that were saved before it was put right; theirs is the highest number."""


def clip(model: Any) -> dict[str, Anatomy]:
    """A ``CLIPModel``; pictures of any size in whole patches, sentences with their end token."""
    vision, text = model.vision_model, model.text_model
    end = text.config.eos_token_id

    def projected_end(last: Tensor, inputs: Inputs) -> Tensor:
        pieces = inputs["input_ids"]
        ends = pieces.argmax(-1) if end == LEGACY_END else (pieces == end).int().argmax(-1)
        projected: Tensor = model.text_projection(last[torch.arange(len(last), device=last.device), ends])
        return projected

    return {
        "vision": Anatomy(
            embed=lambda inputs: vision.pre_layrnorm(
                vision.embeddings(inputs["pixel_values"], interpolate_pos_encoding=True)
            ),
            layers=tuple(vision.encoder.layers),
            norm=nn.Identity(),
            summary=lambda last, inputs: model.visual_projection(vision.post_layernorm(last[:, 0])),
            width=vision.config.hidden_size,
            summary_width=model.projection_dim,
            special=1,
            beside=lambda tokens, inputs: {"attention_mask": None},
        ),
        "text": Anatomy(
            embed=lambda inputs: text.embeddings(input_ids=inputs["input_ids"]),
            layers=tuple(text.encoder.layers),
            norm=text.final_layer_norm,
            summary=projected_end,
            width=text.config.hidden_size,
            summary_width=model.projection_dim,
            causal=True,
            beside=lambda tokens, inputs: {"attention_mask": mask_of(inputs, causal=True), "is_causal": True},
        ),
    }


def siglip(model: Any) -> dict[str, Anatomy]:
    """A ``SiglipModel``; pictures of any size in whole patches.

    SigLIP2's checkpoints of a fixed picture size are of this class too. Of text the model's own vector is the last
    token's, so sentences are to be padded to the model's context length, and no mask is given, as it was trained.
    """
    vision = model.vision_model
    return {
        "vision": Anatomy(
            embed=lambda inputs: vision.embeddings(inputs["pixel_values"], interpolate_pos_encoding=True),
            layers=tuple(vision.encoder.layers),
            norm=vision.post_layernorm,
            summary=lambda last, inputs: vision.head(last),
            width=vision.config.hidden_size,
            beside=lambda tokens, inputs: {"attention_mask": None},
        ),
        "text": _siglip_text(model.text_model),
    }


def siglip2(model: Any) -> dict[str, Anatomy]:
    """A ``Siglip2Model``, which is what SigLIP2's NaFlex checkpoints are: pictures of any size and shape, padded.

    Its pictures are ``pixel_values`` ``[n, patches, 3 * patch * patch]``, with ``spatial_shapes`` and, for layers and
    summary too, ``pixel_attention_mask``; or, as those of other models, ``[n, 3, height, width]`` in whole patches.
    Text is SigLIP's.
    """
    vision, mask = model.vision_model, "pixel_attention_mask"

    def embed(inputs: Inputs) -> Tensor:
        pixels, shapes = inputs["pixel_values"], inputs.get("spatial_shapes")
        if shapes is None:
            pixels, shapes = _in_patches(pixels, vision.config.patch_size)
        embedded: Tensor = vision.embeddings(pixels, shapes)
        return embedded

    return {
        "vision": Anatomy(
            embed=embed,
            layers=tuple(vision.encoder.layers),
            norm=vision.post_layernorm,
            summary=lambda last, inputs: vision.head(last, inputs.get(mask)),
            width=vision.config.hidden_size,
            beside=lambda tokens, inputs: {"attention_mask": mask_of(inputs, mask)},
        ),
        "text": _siglip_text(model.text_model),
    }


def _in_patches(pictures: Tensor, side: int) -> tuple[Tensor, Tensor]:
    """Pictures ``[n, 3, height, width]`` as patches ``[n, patches, side * side * 3]``; rows and columns ``[n, 2]``."""
    n, colours, height, width = pictures.shape
    rows, columns = height // side, width // side
    patches = pictures.view(n, colours, rows, side, columns, side).permute(0, 2, 4, 3, 5, 1)
    return patches.reshape(n, rows * columns, -1), torch.tensor([[rows, columns]], device="cpu").expand(n, 2)


def _siglip_text(text: Any) -> Anatomy:
    return Anatomy(
        embed=lambda inputs: text.embeddings(input_ids=inputs["input_ids"]),
        layers=tuple(text.encoder.layers),
        norm=text.final_layer_norm,
        summary=lambda last, inputs: text.head(last[:, -1]),
        width=text.config.hidden_size,
        summary_width=text.head.out_features,
        beside=lambda tokens, inputs: {"attention_mask": mask_of(inputs)},
    )


def clap(model: Any) -> dict[str, Anatomy]:
    """A ``ClapModel``. No layer of its audio encoder takes prompts (windows, and widths that grow from stage to stage):
    they act on its output.

    Its audio needs ``is_longer`` beside ``input_features`` where the checkpoint is a fused one.
    """

    def network(inputs: Inputs) -> Tensor:
        output = model.audio_model(inputs["input_features"], inputs.get("is_longer"))
        places: Tensor = output.last_hidden_state.flatten(2).mT  # [n, frequency * time, width]
        return places

    encoder = model.audio_model.audio_encoder
    pitches, times = encoder.input_resolutions[-1]  # of a picture that has the sound in several rows
    audio = Anatomy(
        embed=network,
        layers=(PromptedOutput(),),
        norm=nn.Identity(),
        summary=lambda last, inputs: model.audio_projection(last.mean(1)),
        width=encoder.num_features,
        summary_width=model.projection_dim,
        grid=(1, pitches // encoder.freq_ratio, times * encoder.freq_ratio),
        whole=True,
    )

    def projected_cls(last: Tensor, inputs: Inputs) -> Tensor:
        projected: Tensor = model.text_projection(model.text_model.pooler(last))
        return projected

    text = replace(bert(model.text_model)["text"], summary=projected_cls, summary_width=model.projection_dim)
    return {"audio": audio, "text": text}
