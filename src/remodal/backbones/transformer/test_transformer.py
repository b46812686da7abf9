"""Pictures through a small random DINOv2: prompts in its layers, several layers' summaries as features."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import Dinov2Config, Dinov2Model

from remodal.backbones import Tokens, Tower
from remodal.backbones.transformer.anatomies import take_apart
from remodal.backbones.transformer.layers import Use
from remodal.backbones.transformer.pictures import Preprocessing, TransformerVision
from remodal.errors import RemodalError
from remodal.features.extract import stem

SIZE, LAYERS, WIDTH = 28, 4, 16


def network() -> Dinov2Model:
    torch.manual_seed(0)
    return Dinov2Model(
        Dinov2Config(
            hidden_size=WIDTH, num_attention_heads=2, num_hidden_layers=LAYERS, image_size=SIZE, patch_size=7,
            layerscale_value=1.0,
        )
    )  # fmt: skip


def tower(prompt_from_layer: int = 0) -> Tower:
    anatomy = take_apart(network())["vision"]
    return Tower(
        TransformerVision(anatomy, Use((2, 4), 8, prompt_from_layer), Preprocessing(SIZE, (0.5,) * 3, (0.25,) * 3))
    )


def clips(*lengths: int, seed: int = 0) -> list[NDArray[np.uint8]]:
    draws = np.random.default_rng(seed)
    return [draws.integers(0, 256, (length, SIZE, SIZE, 3), dtype=np.uint8) for length in lengths]


def tokens(read: Tower, media: list[NDArray[np.uint8]]) -> Tokens:
    prepared: list[tuple[str, NDArray[Any]]] = [("image", one.reshape(len(one), -1, 3)) for one in media]
    return stem(prepared, read.encoder)


def prompts(read: Tower, *first: int) -> Tensor:
    return torch.randn(*first, read.layers, 2, 3, WIDTH, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("layer", [0, 2])
def test_values_of_zero_leave_the_frozen_model_and_gradients_reach_keys_and_values(layer: int) -> None:
    read = tower(layer)
    media, own = tokens(read, clips(1, 3)), prompts(read)
    own[:, 1] = 0
    torch.testing.assert_close(read.features(media, own), read.features(media))
    own = prompts(read).requires_grad_()
    features = read.features(media, own)
    assert not torch.allclose(features, read.features(media), atol=1e-2)
    (features * torch.linspace(-1, 1, features.shape[1])).sum().backward()  # type: ignore[no-untyped-call]
    assert own.grad is not None
    assert bool((own.grad.abs().amax((2, 3)) > 0).all())  # of every layer, keys and values


def test_pictures_are_stored_where_prompts_act_from_the_first_layer_and_tokens_where_they_do_not() -> None:
    assert tokens(tower(), clips(1)).frames.dtype == torch.uint8
    stored = tokens(tower(2), clips(1)).frames
    assert stored.dtype == torch.float16
    assert stored.shape == (1, 1 + 16 + 4, WIDTH)  # CLS, patches, and the summary of the level below


@pytest.mark.parametrize("layer", [1, 2, 3])
def test_what_is_stored_below_the_prompts_changes_no_feature(layer: int) -> None:
    whole, later = tower(), tower(layer)
    media = clips(1, 4, 1)
    torch.testing.assert_close(
        later.features(tokens(later, media)), whole.features(tokens(whole, media)), atol=5e-3, rtol=0
    )
    silent = torch.zeros(layer, 2, 3, WIDTH)
    own = prompts(later)
    torch.testing.assert_close(
        later.features(tokens(later, media), own),
        whole.features(tokens(whole, media), torch.cat([silent, own])),
        atol=5e-3,
        rtol=0,
    )


def test_an_item_does_not_depend_on_its_company() -> None:
    read = tower()
    media, own = tokens(read, clips(1, 3, 1, 3)), prompts(read)
    alone = [read.features(media[at : at + 1], own) for at in range(4)]
    torch.testing.assert_close(read.features(media, own), torch.cat(alone))


def test_each_item_can_have_prompts_of_its_own() -> None:
    read = tower()
    media, own = tokens(read, clips(2, 2)), prompts(read, 2)
    alone = [read.features(media[at : at + 1], own[at]) for at in range(2)]
    torch.testing.assert_close(read.features(media, own), torch.cat(alone))


def test_prompts_that_act_beside_each_other_keep_their_functions() -> None:
    """Two of the same with half the values are one; a prompt beside one of value zero is itself."""
    read = tower()
    media, own = tokens(read, clips(1, 2)), prompts(read)
    half = own.clone()
    half[:, 1] /= 2
    silent = prompts(read)
    silent[:, 1] = 0
    expected = read.features(media, own)
    torch.testing.assert_close(read.features(media, torch.stack([half, half])[None]), expected)
    torch.testing.assert_close(read.features(media, torch.stack([own, silent])[None]), expected)


def test_features_keep_layout_and_order() -> None:
    read = tower()
    (clip,) = clips(4)
    mirrored, reversed_ = np.ascontiguousarray(clip[:, :, ::-1]), np.ascontiguousarray(clip[::-1])
    as_it_is, other, back = read.features(tokens(read, [clip, mirrored, reversed_]))
    assert not torch.allclose(as_it_is, other, atol=1e-2)
    assert not torch.allclose(as_it_is, back, atol=1e-2)


def test_features_and_identity_come_from_the_store_where_they_are_known() -> None:
    read = tower()
    media = tokens(read, clips(1, 1))
    known = torch.arange(2.0 * (read.feature_width + read.identity_width)).view(2, -1)
    stored = Tokens(media.tower, media.frames, media.lengths, known)
    assert torch.equal(read.features(stored), known[:, : read.feature_width])
    assert torch.equal(read.identity(stored), known[:, read.feature_width :])


def test_a_layer_that_is_not_there_is_refused() -> None:
    with pytest.raises(RemodalError, match="prompt_from_layer: found 4; valid for the vision model: 0 to 3"):
        tower(4)
