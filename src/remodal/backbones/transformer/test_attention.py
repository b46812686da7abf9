"""A prompt stands beside a layer's own attention, and reaches no other layer, call or thread."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import Tensor, nn

from remodal.backbones.transformer.attention import call_layer, residual_prefix
from remodal.errors import RemodalError

N, HEADS, TOKENS, SIZE, LENGTH, SCALING = 4, 3, 6, 8, 5, 0.5


class Attention(nn.Module):
    """A layer that is its attention alone: queries, keys and values are parts of its tokens."""

    def forward(self, tokens: Tensor, mask: Tensor | None = None, is_causal: bool = False) -> Tensor:
        parts = (part.unflatten(-1, (HEADS, SIZE)).transpose(1, 2) for part in tokens.chunk(3, dim=-1))
        return residual_prefix(self, *parts, mask, scaling=SCALING, is_causal=is_causal)[0]


def random(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(len(shape)))


TOKENS_OF_ITEMS = random(N, TOKENS, 3 * HEADS * SIZE)


def written_out(tokens: Tensor, prompts: Tensor, visible: Tensor) -> Tensor:
    """A softmax over the visible tokens and one over the prefix, item by item and head by head."""
    output = torch.empty(N, TOKENS, HEADS, SIZE)
    for item in range(N):
        keys_and_values = prompts[item * len(prompts) // N].unflatten(-1, (HEADS, SIZE))
        for head in range(HEADS):
            query, key, value = (part[item, :, head] for part in tokens.unflatten(-1, (3, HEADS, SIZE)).unbind(-3))
            prefix_key, prefix_value = keys_and_values[:, :, head]
            own = (query @ key.T * SCALING).masked_fill(~visible[item], -torch.inf).softmax(-1) @ value
            output[item, :, head] = own + (query @ prefix_key.T * SCALING).softmax(-1) @ prefix_value
    return output


@pytest.mark.parametrize("groups", [1, 2, 4])
@pytest.mark.parametrize("looks", ["everywhere", "back", "at words"])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.bfloat16, 0.1)])
@pytest.mark.parametrize("trained", [False, True])
def test_a_prompt_is_a_prefix_for_each_head(
    groups: int, looks: str, dtype: torch.dtype, tolerance: float, trained: bool
) -> None:
    prompts = random(groups, 2, LENGTH, HEADS * SIZE)
    visible = torch.ones(N, TOKENS, TOKENS, dtype=torch.bool)
    if looks == "back":
        visible = visible.tril()
    if looks == "at words":
        visible = visible & (torch.arange(TOKENS) < torch.tensor([3, 6, 4, 5])[:, None])[:, None]
    mask = visible[:, None] if looks == "at words" else None
    tokens = TOKENS_OF_ITEMS.clone().to(dtype).requires_grad_(trained)
    output = call_layer(Attention(), tokens, prompts, mask=mask, is_causal=looks == "back")
    assert output.dtype == dtype
    torch.testing.assert_close(
        output.float(), written_out(TOKENS_OF_ITEMS, prompts, visible), atol=tolerance, rtol=tolerance
    )


def test_gradients_in_sixteen_bits_are_nearly_those_in_float32() -> None:
    gradients = []
    for dtype in (torch.float32, torch.bfloat16, torch.float16):
        tokens = TOKENS_OF_ITEMS.detach().clone().to(dtype).requires_grad_()
        prompts = random(2, LENGTH, HEADS * SIZE).requires_grad_()
        call_layer(Attention(), tokens, prompts).float().square().sum().backward()
        assert tokens.grad is not None
        assert prompts.grad is not None
        gradients.append(torch.cat([tokens.grad.float().flatten(), prompts.grad.flatten()]))
    for short in gradients[1:]:
        assert torch.cosine_similarity(gradients[0], short, dim=0) > 0.999


def test_a_layer_that_takes_no_prompts_is_never_frozen_without_a_word() -> None:
    prompt = random(2, LENGTH, HEADS * SIZE)
    with pytest.raises(
        RemodalError, match="found a layer Identity that takes no prompts; valid: a layer whose attention"
    ):
        call_layer(nn.Identity(), TOKENS_OF_ITEMS, prompt)
    frozen = call_layer(Attention(), TOKENS_OF_ITEMS, None)
    with pytest.raises(RuntimeError):
        call_layer(nn.Linear(1, 1), TOKENS_OF_ITEMS, prompt)  # fails before it comes to attention
    assert torch.equal(call_layer(Attention(), TOKENS_OF_ITEMS, None), frozen)


def test_a_prompt_reaches_no_other_thread() -> None:
    frozen = call_layer(Attention(), TOKENS_OF_ITEMS, None)
    prompt = random(2, LENGTH, HEADS * SIZE)
    alone = call_layer(Attention(), TOKENS_OF_ITEMS, prompt)

    class Meanwhile(Attention):
        """Another thread asks for the frozen layer while a prompt lies ready for this one."""

        def forward(self, tokens: Tensor, mask: Tensor | None = None, is_causal: bool = False) -> Tensor:
            with ThreadPoolExecutor(1) as pool:
                assert torch.equal(pool.submit(Attention(), tokens).result(), frozen)
            return super().forward(tokens, mask, is_causal)

    assert torch.equal(call_layer(Meanwhile(), TOKENS_OF_ITEMS, prompt), alone)
