"""Prompts as a residual prefix, for backbones whose head works on cached tokens.

Source of the form: DIKI (Tang et al., "Mind the interference", ECCV 2024): the prefix's attention is *added* to the
frozen model's own path instead of joining its softmax, so that zero values leave the frozen model as it is.
"""

from __future__ import annotations

import math

from torch import Tensor


def prompted(tokens: Tensor, prompts: Tensor | None) -> Tensor:
    """``tokens + softmax(tokens K^T / sqrt(width)) V``.

    tokens: ``[..., width]``. prompts: ``[1, 2, length, width]`` (one layer; keys, values); None: the frozen model.
    """
    if prompts is None:
        return tokens
    keys, values = prompts[0, 0], prompts[0, 1]
    attention = (tokens @ keys.T / math.sqrt(tokens.shape[-1])).softmax(dim=-1)
    return tokens + attention @ values
