"""A model of any other class, read as a whole: what its last layer says, and prompts that act on that alone."""

from __future__ import annotations

import math
from typing import Any

from torch import Tensor, nn

from remodal.backbones.transformer.anatomies.anatomy import Anatomy, Inputs, mean_token
from remodal.backbones.transformer.anatomies.text import mean_of_word_pieces
from remodal.backbones.transformer.attention import PromptedOutput
from remodal.errors import RemodalError

READS = {"pixel_values": "vision", "input_values": "audio", "input_features": "audio", "input_ids": "text"}
"""Kind of an encoder by the main input of its ``forward``."""
PAIRED = ("get_image_features", "get_audio_features", "get_video_features")
"""A model that has one of these compares two encoders."""


def whole(model: Any) -> dict[str, Anatomy]:
    """The encoder of a model that reads pictures, sounds or text and gives a ``last_hidden_state``.

    Of pictures, tokens in front of a square of patches are left out. Its summary is the mean over all tokens.

    Raises:
        RemodalError: It reads something else, is a pair of encoders, or doesn't tell the width of a token.
    """
    name = type(model).__name__
    kind = None if any(hasattr(model, feature) for feature in PAIRED) else READS.get(model.main_input_name)
    config = model.config.get_text_config() if kind == "text" else model.config
    widths = getattr(config, "hidden_size", None) or getattr(config, "hidden_sizes", None)
    width = widths[-1] if isinstance(widths, list | tuple) else widths
    if kind is None or not isinstance(width, int):
        raise RemodalError(f"found a {name}; valid: an encoder of pictures, sounds or text, or a CLIP, SigLIP or CLAP")
    encoder = model.get_encoder() if model.config.is_encoder_decoder else model

    def network(inputs: Inputs) -> Tensor:
        last = getattr(encoder(**inputs), "last_hidden_state", None)
        if last is None:
            raise RemodalError(f"found a {name}, which gives no last_hidden_state; valid: an encoder")
        tokens: Tensor = last.flatten(2).mT if last.dim() == 4 else last
        if tokens.shape[-1] != width:
            raise RemodalError(f"found a {name} of width {width} whose tokens have {tokens.shape[-1]}; valid: the same")
        return tokens[:, tokens.shape[1] - math.isqrt(tokens.shape[1]) ** 2 :] if kind == "vision" else tokens

    return {
        kind: Anatomy(
            embed=network,
            layers=(PromptedOutput(),),
            norm=nn.Identity(),
            summary=mean_of_word_pieces if kind == "text" else mean_token,
            width=width,
            grid=(1, 1, 0) if kind == "audio" else None,
            whole=True,
        )
    }
