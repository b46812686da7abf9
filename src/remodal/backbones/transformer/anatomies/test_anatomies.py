"""An encoder that is taken apart is its model until prompts say otherwise: every family, small random weights."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from copy import deepcopy
from functools import cache
from typing import Any

import pytest
import torch
import transformers as hf
from library_models import CASES, CLIPS, LAYERS, LENGTH, PICTURE, TEXT, WHOLE, WIDTH, pictures, pooled, random
from torch import Tensor, nn
from torch.nn.functional import normalize

from remodal.backbones.transformer.anatomies import Anatomy, run, take_apart
from remodal.errors import RemodalError

PADDED = [name for name, case in CASES.items() if case.reads == "text" and not name.startswith("SigLIP")]
ANY_SIZE = ["CLIP, vision", "MetaCLIP 2, vision", "SigLIP, vision", "ViT", "DINOv2", "DINOv2 with registers", "DINOv3"]


@cache
def model_of(name: str) -> nn.Module:
    """The library's own model, which remodal never touches; no two layers, tokens or heads are alike."""
    torch.manual_seed(0)
    model = CASES[name].model().eval().requires_grad_(False)
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=CASES[name].spread)
    return model


@cache
def encoder_of(name: str) -> Anatomy:
    return take_apart(deepcopy(model_of(name)))[CASES[name].reads]


def ran(encoder: Anatomy, inputs: Mapping[str, Tensor], prompts: Tensor | None = None) -> Tensor:
    """Output of the last layer."""
    tokens = encoder.embed(inputs)
    return run(encoder.layers, tokens, prompts, encoder.beside(tokens, inputs))[0]


def prompts_of(*groups: int) -> Tensor:
    return random(*groups, LAYERS, 2, LENGTH, WIDTH)


@pytest.mark.parametrize("name", CASES)
def test_the_parts_together_are_the_model(name: str) -> None:
    case, encoder = CASES[name], encoder_of(name)
    last, vectors = case.own(model_of(name), case.inputs)
    own_last = encoder.norm(ran(encoder, case.inputs))
    own_vectors = encoder.summary(own_last, case.inputs)
    assert (encoder.width, len(encoder.layers), encoder.special) == (WIDTH, LAYERS, case.special)
    assert vectors.std(0).mean() > 1e-3  # the items differ, so that equal vectors say something
    if name == "CLAP, text":  # the library runs it with another attention, and normalises its vectors
        torch.testing.assert_close(own_last, last)
        torch.testing.assert_close(normalize(own_vectors, dim=-1), vectors)
        return
    assert torch.equal(own_last, last)
    torch.testing.assert_close(own_vectors, vectors)


@pytest.mark.parametrize("name", ANY_SIZE)
@pytest.mark.parametrize("side", [16, 56])
def test_pictures_of_another_size_stand_where_the_model_puts_them(name: str, side: int) -> None:
    case, encoder, inputs = CASES[name], encoder_of(name), pictures(side, side)
    options = {} if name.startswith("DINO") else {"interpolate_pos_encoding": True}
    assert torch.equal(encoder.norm(ran(encoder, inputs)), case.own(model_of(name), {**inputs, **options})[0])


def test_pictures_need_not_be_square() -> None:
    encoder, inputs = encoder_of("DINOv2"), pictures(24, 48)
    assert torch.equal(encoder.norm(ran(encoder, inputs)), pooled(model_of("DINOv2"), inputs)[0])
    with pytest.raises(RemodalError, match="found a picture of 18 patches; valid: a square number"):
        ran(encoder_of("DINOv3"), inputs)


@pytest.mark.parametrize("name", CASES)
def test_values_of_zero_change_nothing(name: str) -> None:
    encoder, inputs, prompts = encoder_of(name), CASES[name].inputs, prompts_of()
    prompts[:, 1] = 0
    assert torch.equal(ran(encoder, inputs, prompts), ran(encoder, inputs))


@pytest.mark.parametrize("name", CASES)
def test_gradients_reach_keys_and_values_of_every_layer_and_nothing_else(name: str) -> None:
    encoder, inputs, prompts = encoder_of(name), CASES[name].inputs, prompts_of().requires_grad_()
    vectors = encoder.summary(encoder.norm(ran(encoder, inputs, prompts)), inputs)
    (gradient,) = torch.autograd.grad(vectors.square().sum(), prompts)
    assert (gradient.abs().amax(dim=(2, 3)) > 0).all()
    assert not ran(encoder, inputs).requires_grad


@pytest.mark.parametrize("name", CASES)
def test_items_can_have_prompts_of_their_own(name: str) -> None:
    encoder = take_apart(deepcopy(model_of(name)).double())[CASES[name].reads]  # random networks make rounding larger
    inputs = {of: one.double() if one.is_floating_point() else one for of, one in CASES[name].inputs.items()}
    shared, own = prompts_of().double(), prompts_of(3).double()
    together = ran(encoder, inputs, shared)
    torch.testing.assert_close(ran(encoder, inputs, torch.stack([shared] * 3)), together)
    each = [ran(encoder, inputs, prompt)[item] for item, prompt in enumerate(own)]
    assert not torch.allclose(each[0], together[0], atol=1e-2)
    torch.testing.assert_close(ran(encoder, inputs, own), torch.stack(each))


def test_the_frames_of_an_item_can_share_its_prompts() -> None:
    encoder, frames = encoder_of("DINOv2"), {"pixel_values": random(6, 3, 32, 32)}
    prompts = prompts_of(2)
    each = ran(encoder, frames, prompts.repeat_interleave(3, dim=0))
    torch.testing.assert_close(ran(encoder, frames, prompts), each)


@pytest.mark.parametrize("name", CASES)
def test_the_first_layers_and_then_the_rest_are_all_layers(name: str) -> None:
    encoder, inputs, prompts = encoder_of(name), CASES[name].inputs, prompts_of()
    tokens = encoder.embed(inputs)
    beside = encoder.beside(tokens, inputs)
    last, kept = run(encoder.layers, tokens, prompts, beside, kept=(0, 2))
    between, _ = run(encoder.layers[:1], tokens, prompts[:1], beside)
    assert torch.equal(kept[0], between)
    assert torch.equal(kept[1], last)
    assert torch.equal(run(encoder.layers[1:], between, prompts[1:], beside)[0], last)


def test_the_layers_kept_are_the_models_hidden_states() -> None:
    encoder, inputs = encoder_of("DINOv2"), pictures()
    states: Any = model_of("DINOv2")(**inputs, output_hidden_states=True).hidden_states
    tokens = encoder.embed(inputs)
    _, kept = run(encoder.layers, tokens, None, {}, kept=range(LAYERS))
    for own, state in zip([tokens, *kept], states, strict=True):
        assert torch.equal(own, state)


@pytest.mark.parametrize("name", PADDED)
@pytest.mark.parametrize("prompted", [False, True])
def test_padding_changes_no_sentence(name: str, prompted: bool) -> None:
    encoder, padded = encoder_of(name), CASES[name].inputs
    prompts = prompts_of() if prompted else None
    together = ran(encoder, padded, prompts)
    vectors = encoder.summary(encoder.norm(together), padded)
    for item, length in enumerate(padded["attention_mask"].sum(1)):
        alone = {key: value[item : item + 1, :length] for key, value in padded.items()}
        output = ran(encoder, alone, prompts)
        torch.testing.assert_close(output[0], together[item, :length])
        torch.testing.assert_close(encoder.summary(encoder.norm(output), alone)[0], vectors[item])


@pytest.mark.parametrize("name", PADDED)
@pytest.mark.parametrize("padded", [False, True])
def test_a_causal_model_stays_causal_under_prompts(name: str, padded: bool) -> None:
    """The last real word piece is seen from those before it, unless the model is causal."""
    encoder = encoder_of(name)
    inputs = CASES[name].inputs if padded else {"input_ids": CASES[name].inputs["input_ids"][1:2]}
    ends = inputs["attention_mask"].sum(1) - 1 if padded else torch.tensor([6])
    changed = inputs["input_ids"].clone()
    changed[torch.arange(len(ends)), ends] = 2
    outputs = [ran(encoder, {**inputs, "input_ids": pieces}, prompts_of()) for pieces in (inputs["input_ids"], changed)]
    before = [[item[:end] for item, end in zip(output, ends, strict=True)] for output in outputs]
    assert all(torch.allclose(*pair, atol=1e-4) == encoder.causal for pair in zip(*before, strict=True))
    assert encoder.causal == name.startswith(("CLIP", "MetaCLIP"))


@pytest.mark.parametrize("name", CASES)
def test_a_model_that_was_handed_over_works_as_before(name: str) -> None:
    case, model = CASES[name], deepcopy(model_of(name))
    ran(take_apart(model)[case.reads], case.inputs, prompts_of())
    for own, before in zip(case.own(model, case.inputs), case.own(model_of(name), case.inputs), strict=True):
        torch.testing.assert_close(own, before)


def test_prompts_of_claps_audio_act_on_its_output() -> None:
    model = deepcopy(model_of("CLAP, text"))
    encoder, inputs = take_apart(model)["audio"], {"input_features": random(3, 1, 200, 16)}
    expected: Any = model.get_audio_features(**inputs)
    tokens, prompts = encoder.embed(inputs), random(3, 1, 2, LENGTH, WIDTH)
    assert encoder.whole
    assert torch.equal(ran(encoder, inputs), expected.last_hidden_state.flatten(2).mT)
    vectors = encoder.summary(encoder.norm(tokens), inputs)
    torch.testing.assert_close(normalize(vectors, dim=-1), expected.pooler_output)
    keys, values = prompts[:, 0].unbind(1)
    written_out = tokens + (tokens @ keys.mT / WIDTH**0.5).softmax(-1) @ values
    torch.testing.assert_close(ran(encoder, inputs, prompts), written_out)


@pytest.mark.parametrize("name", ["AST", "Whisper", "VideoMAE", "CLAP, text"])
def test_a_grid_has_a_place_for_every_patch(name: str) -> None:
    if name == "CLAP, text":
        encoder, inputs = take_apart(deepcopy(model_of(name)))["audio"], {"input_features": random(3, 1, 200, 16)}
    else:
        encoder, inputs = encoder_of(name), dict(CASES[name].inputs)
    assert encoder.grid is not None
    assert math.prod(encoder.grid) + encoder.special == encoder.embed(inputs).shape[1]


def test_the_grid_of_a_clip_has_its_times_first() -> None:
    encoder, clips = encoder_of("VideoMAE"), CLIPS["pixel_values"].clone()
    before = encoder.embed({"pixel_values": clips})
    clips[:, 2:] += 1  # the second of two times, each of two frames
    changed = (encoder.embed({"pixel_values": clips}) != before).any(-1).view(3, *encoder.grid or ())
    assert not changed[:, 0].any()
    assert changed[:, 1].all()


def test_sixteen_bits_say_nearly_the_same() -> None:
    encoder, inputs, prompts = encoder_of("DINOv2"), pictures(), prompts_of()
    short = take_apart(deepcopy(model_of("DINOv2")).to(torch.bfloat16))["vision"]
    output = ran(short, {"pixel_values": inputs["pixel_values"].bfloat16()}, prompts)
    assert output.dtype == torch.bfloat16
    similarity = torch.cosine_similarity(output.float(), ran(encoder, inputs, prompts), dim=-1)
    assert similarity.min() > 0.99


@pytest.mark.parametrize("name", WHOLE)
def test_prompts_of_any_other_class_act_on_its_output(name: str) -> None:
    case = WHOLE[name]
    torch.manual_seed(0)
    model: Any = case.model().eval()
    own = model.get_encoder() if name == "Speech2Text" else model
    last = own(**case.inputs).last_hidden_state
    last = last.flatten(2).mT if last.dim() == 4 else last
    encoder = take_apart(deepcopy(model))[case.reads]
    tokens, prompts = encoder.embed(case.inputs), random(1, 2, LENGTH, WIDTH)
    torch.testing.assert_close(tokens, last[:, case.special :])
    assert (encoder.whole, encoder.width, len(encoder.layers)) == (True, WIDTH, 1)
    assert math.prod(encoder.places(tokens.shape[1])) == tokens.shape[1] or case.reads == "text"
    keys, values = prompts[0]
    written_out = tokens + (tokens @ keys.T / WIDTH**0.5).softmax(-1) @ values
    torch.testing.assert_close(ran(encoder, case.inputs, prompts), written_out)
    vectors = encoder.summary(encoder.norm(tokens), case.inputs)
    lengths = case.inputs["attention_mask"].sum(1) if case.reads == "text" else [tokens.shape[1]] * 3
    means = [item[:length].mean(0) for item, length in zip(tokens, lengths, strict=True)]
    torch.testing.assert_close(vectors, torch.stack(means))


@pytest.mark.parametrize(
    ("model", "says"),
    [
        (lambda: hf.ChineseCLIPModel(hf.ChineseCLIPConfig(text_config=TEXT, vision_config=PICTURE)), "valid: an enc"),
        (lambda: hf.ViTForImageClassification(hf.ViTConfig(**PICTURE)), "which gives no last_hidden_state; valid: an "),
    ],
)  # fmt: skip
def test_what_is_no_encoder_is_one_clear_line(model: Callable[[], nn.Module], says: str) -> None:
    with pytest.raises(RemodalError, match=f"found a {type(built := model()).__name__}.*{says}"):
        take_apart(built)["vision"].embed(pictures())
