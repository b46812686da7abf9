"""Encoders of pictures and of clips: ViT, DeiT, DINOv2 (with registers), DINOv3, VideoMAE.

Papers: Dosovitskiy et al., "An image is worth 16x16 words", ICLR 2021; Touvron et al., "Training data-efficient image
transformers", ICML 2021; Oquab et al., "DINOv2", TMLR 2024; Darcet et
al., "Vision transformers need registers", ICLR 2024; Siméoni et al., "DINOv3", arXiv 2508.10104, 2025; Tong et al.,
"VideoMAE", NeurIPS 2022.
"""

from __future__ import annotations

import math
from typing import Any

from torch import Tensor, nn

from remodal.backbones.transformer.anatomies.anatomy import Anatomy, Inputs, mean_token
from remodal.errors import RemodalError


def cls_token(last: Tensor, inputs: Inputs) -> Tensor:
    """The first token of the last layer."""
    return last[:, 0]


def vit(model: Any) -> dict[str, Anatomy]:
    """A ``ViTModel`` or ``DeiTModel``; pictures of any size in whole patches.

    Its summary is the CLS token, not the pooler's output.
    """
    return {
        "vision": Anatomy(
            embed=lambda inputs: model.embeddings(inputs["pixel_values"], interpolate_pos_encoding=True),
            layers=tuple(model.layers),
            norm=model.layernorm,
            summary=cls_token,
            width=model.config.hidden_size,
            special=1 + hasattr(model.embeddings, "distillation_token"),
        )
    }


def dinov2(model: Any) -> dict[str, Anatomy]:
    """A ``Dinov2Model`` or ``Dinov2WithRegistersModel``; pictures of any size in whole patches."""
    return {
        "vision": Anatomy(
            embed=lambda inputs: model.embeddings(inputs["pixel_values"]),
            layers=tuple(model.encoder.layer),
            norm=model.layernorm,
            summary=cls_token,
            width=model.config.hidden_size,
            special=1 + getattr(model.config, "num_register_tokens", 0),
        )
    }


def dinov3(model: Any) -> dict[str, Anatomy]:
    """A ``DINOv3ViTModel``; square pictures of any size in whole patches.

    The layers turn keys and queries by the place of a patch, which follows from how many there are.
    """
    special, patch = 1 + model.config.num_register_tokens, model.config.patch_size

    def places(tokens: Tensor, inputs: Inputs) -> dict[str, Any]:
        patches = tokens.shape[1] - special
        side = math.isqrt(patches)
        if side * side != patches:
            raise RemodalError(f"found a picture of {patches} patches; valid: a square number of them, as 4, 9 or 16")
        return {"position_embeddings": model.rope_embeddings(tokens.new_empty(1, 3, side * patch, side * patch))}

    return {
        "vision": Anatomy(
            embed=lambda inputs: model.embeddings(inputs["pixel_values"]),
            layers=tuple(model.model.layer),
            norm=model.norm,
            summary=cls_token,
            width=model.config.hidden_size,
            special=special,
            beside=places,
        )
    }


def videomae(model: Any) -> dict[str, Anatomy]:
    """A ``VideoMAEModel``: clips ``[n, frames, 3, height, width]`` of the model's own size and number of frames."""
    config = model.config
    side = config.image_size // config.patch_size
    return {
        "video": Anatomy(
            embed=lambda inputs: model.embeddings(inputs["pixel_values"], None),
            layers=tuple(model.encoder.layer),
            norm=model.layernorm or nn.Identity(),
            summary=mean_token,
            width=config.hidden_size,
            grid=(config.num_frames // config.tubelet_size, side, side),
        )
    }
