"""Prompts as a residual prefix, for backbones whose head works on cached tokens.

Source of the form: DIKI (Tang et al., "Mind the interference", ECCV 2024): the prefix's attention is *added* to the
frozen model's own path instead of joining its softmax, so that zero values leave the frozen model as it is.
"""

from __future__ import annotations

import math

from torch import Tensor


def prompted(tokens: Tensor, prompts: Tensor | None) -> Tensor:
    """``tokens + softmax(tokens K^T / sqrt(width)) V``.

    tokens: ``[n, ..., width]``. prompts: ``[1, 2, length, width]`` (one layer; keys, values) for all items, or one an
    item, ``[n, 1, 2, length, width]``; or several whose outputs are added, ``[1 or n, parts, 1, 2, length, width]``;
    None: the frozen model.
    """
    if prompts is None:
        return tokens
    if prompts.dim() == 6:
        parts = (prompts[0] if len(prompts) == 1 else prompts.transpose(0, 1)).unbind()
        return tokens + sum(prompted(tokens, part) - tokens for part in parts)
    keys, values = prompts.squeeze(-4).unbind(-3)
    rows = tokens.flatten(1, -2) if prompts.dim() == 5 else tokens  # else each frame would get copies of its item's own
    attention = (rows @ keys.transpose(-1, -2) / math.sqrt(tokens.shape[-1])).softmax(dim=-1)
    return tokens + (attention @ values).view(tokens.shape)
