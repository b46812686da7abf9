"""Prompts in the attention of the ``transformers`` library's own layers, as a residual prefix.

Source of the form: DIKI (Tang et al., "Mind the interference", ECCV 2024): the prefix has a softmax of its own and is
*added* to the frozen attention, so that values of zero leave the frozen model as it is.

The library lets an attention function be registered, but not all of its layers hand a caller's arguments down to it
(SigLIP's and VideoMAE's don't, DINOv2's do since 5.23). So a prompt lies ready, for one layer's call and in this thread
alone, and the function takes it. A layer that leaves it lying is an error, never a frozen model without a word.
"""

from __future__ import annotations

import threading
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from remodal.errors import RemodalError

ATTENTION = "remodal_residual_prefix"


class _Ready(threading.local):
    """What lies ready for the attention of the layer that is called now."""

    prompt: Tensor | None = None


_ready = _Ready()


def take_prompts(model: Any) -> None:
    """Let the attention of a ``PreTrainedModel`` take prompts, in place; without one it works as before."""
    AttentionInterface.register(ATTENTION, residual_prefix)
    AttentionMaskInterface.register(ATTENTION, sdpa_mask)
    model.set_attn_implementation(ATTENTION)


def call_layer(layer: nn.Module, tokens: Tensor, prompt: Tensor | None, **beside: Any) -> Tensor:
    """The output ``[n, tokens, width]`` of a layer, on tokens of that shape, with a prompt in its attention.

    prompt: keys and values of this layer, ``[2, length, heads * d]`` for all items, or ``[g, 2, length, heads * d]``:
    the first for the first ``n / g`` items, and so on (``g = n``: one an item); or several that are added, ``[g, parts,
    2, length, heads * d]``. None: the frozen layer.
    beside: what the layer's ``forward`` takes beside the tokens.

    Raises:
        RemodalError: The layer's attention took no prompt.
    """
    _ready.prompt = prompt
    try:
        output: Tensor = layer(tokens, **beside)
        if _ready.prompt is not None:
            raise RemodalError(
                f"found a layer {type(layer).__name__} that takes no prompts; "
                "valid: a layer whose attention is called through transformers' AttentionInterface"
            )
    finally:
        _ready.prompt = None
    return output


class PromptedOutput(nn.Module):
    """Stands for a layer where a network has none that takes prompts: they act on its output, in one head.

    ``x + softmax(x K_p^T / sqrt(width)) V_p``; called by :func:`call_layer`.
    """

    def forward(self, tokens: Tensor) -> Tensor:
        """Tokens ``[n, tokens, width]``, as they are where no prompt lies ready."""
        prompt, _ready.prompt = _ready.prompt, None
        one_head = tokens[:, :, None]
        return _with_prefixes(one_head, one_head.transpose(1, 2), prompt, tokens.shape[-1] ** -0.5)[:, :, 0]


def residual_prefix(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None,
    scaling: float,
    is_causal: bool | None = None,
    **options: Any,
) -> tuple[Tensor, None]:
    """``Attn(q, K, V) + softmax(q K_p^T * scaling) V_p``: an attention function of ``transformers``.

    query, key, value: ``[n, heads, tokens, d]``. mask: True where a query may look, ``[n or 1, 1, tokens or 1,
    tokens]``. Keys and values of the prompt are the ones that lie ready. Gives ``[n, tokens, heads, d]`` and, as the
    library wants it, no weights. Every token sees all of the prefix, under a causal mask too.
    """
    prompt, _ready.prompt = _ready.prompt, None
    causal: bool = getattr(module, "is_causal", False) if is_causal is None else is_causal
    output: Tensor
    if _has_a_slow_backward(query):
        output = _attend(query, key, value, mask, scaling, causal)
    else:
        options |= {"scaling": scaling, "is_causal": causal}
        output = sdpa_attention_forward(module, query, key, value, mask, **options)[0]
    return _with_prefixes(output, query, prompt, scaling), None


def _with_prefixes(output: Tensor, query: Tensor, prompt: Tensor | None, scaling: float) -> Tensor:
    """``output`` ``[n, tokens, heads, d]``, and what the prompt adds, or the several that stand beside each other."""
    if prompt is not None:
        for part in prompt.unbind(1) if prompt.dim() == 5 else [prompt]:
            output = output + _prefix(query, part, scaling)
    return output


def _prefix(query: Tensor, prompt: Tensor, scaling: float) -> Tensor:
    """``softmax(q K_p^T * scaling) V_p`` ``[n, tokens, heads, d]``; the softmax in float32."""
    n, heads, tokens, width = query.shape
    groups = prompt.to(query.dtype).reshape(-1, *prompt.shape[-3:])
    by_head = groups.view(*groups.shape[:-1], heads, width).transpose(2, 3)
    keys, values = by_head.unbind(1)  # each [g, heads, length, d]
    # all rows that share a prompt stand below each other: one product a head, and no copies of the prompt
    rows = query.transpose(1, 2).reshape(len(groups), -1, heads, width).transpose(1, 2)
    weights = (rows @ (keys * scaling).mT).softmax(-1, dtype=torch.float32).to(query.dtype)
    prefix: Tensor = (weights @ values).transpose(1, 2).reshape(n, tokens, heads, width)
    return prefix


def _has_a_slow_backward(query: Tensor) -> bool:
    """Torch's fused attention on a CPU, where gradients are needed in 16 bits.

    Milliseconds of one core (AMX) for 64 items, 6 heads, d = 64, forward and backward, fused against :func:`_attend`:
    65 tokens in bfloat16 117 and 20, float16 121 and 26, float32 30 and 38; 257 tokens 328 and 195, 474 and 336, 254
    and 511. Forward alone the fused one is level or ahead. So in 16 bits what is trained and what is asked differ in
    their last bits, and in float32 they don't.
    """
    needed = torch.is_grad_enabled() and query.requires_grad
    return needed and query.device.type == "cpu" and query.dtype in (torch.bfloat16, torch.float16)


def _attend(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, scaling: float, causal: bool) -> Tensor:
    """Attention written out, ``[n, tokens, heads, d]``."""
    weights = (query * scaling) @ key.mT
    if mask is None and causal:
        mask = weights.new_ones(weights.shape[-2:], dtype=torch.bool).tril()
    if mask is not None:
        weights = weights.masked_fill(~mask, torch.finfo(weights.dtype).min)
    return (weights.softmax(-1) @ value).transpose(1, 2)
