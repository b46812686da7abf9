"""A transformer of the ``transformers`` library, taken apart: tokens, layers, and what is made of the last one."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from remodal.backbones.transformer.attention import call_layer

Inputs = Mapping[str, Tensor]
"""What the model's own ``forward`` takes, by name, as its processor gives it; in the model's dtype."""


def nothing(tokens: Tensor, inputs: Inputs) -> dict[str, Any]:
    """For layers that need nothing beside the tokens."""
    return {}


@dataclass(frozen=True)
class Anatomy:
    """The parts of a frozen encoder; put together they are the model's own forward pass.

    ``summary(norm(run(layers, embed(inputs), None, beside(tokens, inputs))[0]), inputs)``.
    """

    embed: Callable[[Inputs], Tensor]
    """Inputs -> the tokens ``[n, tokens, width]`` that the first layer takes."""
    layers: tuple[nn.Module, ...]
    """What takes prompts."""
    norm: nn.Module
    """Output of the last layer -> the model's ``last_hidden_state``, ``[n, tokens, width]``."""
    summary: Callable[[Tensor, Inputs], Tensor]
    """``last_hidden_state`` -> the model's own one vector an input, ``[n, d]``, not L2-normalised.

    Of its inputs, text needs the word pieces and their mask, and other inputs none, unless the model's file says so.
    """
    width: int
    """Width of a token, and so of a prompt."""
    summary_width: int | None = None
    """Width ``d`` of :attr:`summary`; None: that of a token."""
    special: int = 0
    """Tokens that stand before the patches: CLS, distillation token, registers. Those of text are word pieces."""
    causal: bool = False
    """Whether a token sees only itself and those before it."""
    grid: tuple[int, int, int] | None = None
    """Times, rows and columns of the patches, which stand in that order; None: one time, as many rows as columns.

    Columns 0: as many as there are.
    """
    whole: bool = False
    """Whether :attr:`embed` is the whole network, and its output all that takes prompts."""
    beside: Callable[[Tensor, Inputs], dict[str, Any]] = nothing
    """Tokens, inputs -> what each layer's ``forward`` takes beside the tokens: masks, positions."""

    def places(self, patches: int) -> tuple[int, int, int]:
        """Times, rows and columns where there are so many patches; their product is another number if none fit.

        >>> from torch.nn import Identity
        >>> square, row = (Anatomy(Tensor, (), Identity(), Tensor, 8, grid=grid) for grid in (None, (1, 1, 0)))
        >>> square.places(16), row.places(16)
        ((1, 4, 4), (1, 1, 16))
        """
        if self.grid is None:
            return 1, math.isqrt(patches), math.isqrt(patches)
        times, rows, columns = self.grid
        return times, rows, columns or patches // (times * rows)


def mean_token(last: Tensor, inputs: Inputs) -> Tensor:
    """The mean over all tokens of the last layer."""
    return last.mean(1)


def run(
    layers: Sequence[nn.Module],
    tokens: Tensor,
    prompts: Tensor | None,
    beside: Mapping[str, Any],
    kept: Collection[int] = (),
) -> tuple[Tensor, list[Tensor]]:
    """``tokens`` ``[n, tokens, width]`` through ``layers``: the last output, and the outputs of the layers ``kept``.

    prompts: one a layer, ``[layers, 2, length, width]`` (keys, values) for all items, or ``[g, layers, 2, length,
    width]``: the first for the first ``n / g`` items, and so on (``g = n``: one an item). None: the frozen layers.
    kept: positions in ``layers``; their outputs come in the order of the layers, before :attr:`Anatomy.norm`.

    Raises:
        ValueError: There are more or fewer prompts than layers.
        RemodalError: A layer takes no prompts.
    """
    each = [None] * len(layers) if prompts is None else prompts.unbind(-4)
    outputs = []
    for position, (layer, prompt) in enumerate(zip(layers, each, strict=True)):
        tokens = call_layer(layer, tokens, prompt, **beside)
        if position in kept:
            outputs.append(tokens)
    return tokens, outputs


def mask_of(inputs: Inputs, name: str = "attention_mask", causal: bool = False) -> Tensor | None:
    """True where a token may look, ``[n, 1, tokens or 1, tokens]``; None where nothing is padded."""
    mask = inputs.get(name)
    if mask is None or bool(mask.all()):
        return None
    real = mask.bool()[:, None, None, :]
    before = torch.ones(mask.shape[1], mask.shape[1], dtype=torch.bool, device=mask.device).tril()
    return real & before if causal else real
