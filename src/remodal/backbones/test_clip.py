"""A CLIP model is frozen until prompts say otherwise, and prompts say it in one call alone."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from tokenizers import pre_tokenizers
from torch import Tensor
from transformers import BertConfig, CLIPConfig, CLIPModel, CLIPTokenizer

from remodal.backbones.clip import TEMPLATES, ClipBackbone, ClipEncoder, ClipText, ClipVision
from remodal.backbones.settings import ClipSettings
from remodal.backbones.tokens import Tokens
from remodal.backbones.tower import Tower
from remodal.errors import RemodalError

LAYERS, WIDTH, SIZE, CONTEXT, LENGTH = 3, 32, 32, 24, 5
TEXTS = ["a cat", "the dog sleeps on a mat", "no"]
TOWERS = ["vision", "text"]


def save_clip(folder: Path, seed: int) -> Path:
    """A small CLIP model with random weights and a tokenizer of single letters."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    words = ["<|startoftext|>", *letters, *(letter + "</w>" for letter in letters), "<|endoftext|>"]
    ids = {"bos_token_id": 0, "eos_token_id": len(words) - 1, "pad_token_id": len(words) - 1}
    shape = {
        "hidden_size": WIDTH,
        "intermediate_size": 64,
        "num_attention_heads": 4,
        "num_hidden_layers": LAYERS,
    }
    torch.manual_seed(seed)
    config = CLIPConfig(
        text_config={**shape, **ids, "vocab_size": len(words), "max_position_embeddings": CONTEXT},
        vision_config={**shape, "image_size": SIZE, "patch_size": 8},
        projection_dim=16,
        initializer_factor=4.0,  # the library's default leaves so small a model nearly constant
    )
    CLIPModel(config).save_pretrained(folder)
    CLIPTokenizer(vocab={word: index for index, word in enumerate(words)}, merges=[]).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.set_num_threads(1)
    return save_clip(tmp_path_factory.mktemp("clip"), seed=0)


@pytest.fixture(scope="module")
def plain(folder: Path) -> CLIPModel:
    """The library's own model, which remodal never touches."""
    return CLIPModel.from_pretrained(folder).requires_grad_(False)


@pytest.fixture(scope="module")
def backbone(folder: Path) -> ClipBackbone:
    return ClipBackbone(folder)


def tower_of(backbone: ClipBackbone, name: str) -> ClipEncoder:
    tower = backbone.towers[name].encoder
    assert isinstance(tower, ClipEncoder)
    return tower


def pictures(count: int, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (count, SIZE, SIZE, 3), dtype=np.uint8)


def inputs_of(tower: ClipEncoder) -> NDArray[Any]:
    """Three items of one frame."""
    if tower.name == "vision":
        return pictures(3)
    return np.concatenate([tower.prepare("text", text) for text in TEXTS])


def tokens_of(tower: ClipEncoder) -> Tensor:
    return torch.from_numpy(tower.stem(inputs_of(tower))).float()[:, None]


def random_prompts(tower: ClipEncoder, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(tower.layers, 2, LENGTH, tower.width, generator=generator)


@pytest.mark.parametrize("name", TOWERS)
@pytest.mark.parametrize("keys", ["zero", "random"])
def test_zero_values_are_exactly_the_frozen_model(backbone: ClipBackbone, name: str, keys: str) -> None:
    tower = tower_of(backbone, name)
    prompts = random_prompts(tower)
    prompts[:, 1] = 0
    if keys == "zero":
        prompts[:, 0] = 0
    tokens = tokens_of(tower)
    assert torch.equal(tower.embed(tokens, prompts), tower.embed(tokens, None))


def test_pictures_get_exactly_the_features_of_the_plain_model(backbone: ClipBackbone, plain: CLIPModel) -> None:
    tower = tower_of(backbone, "vision")
    mean, std = torch.tensor([[0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711]])
    pixels = torch.from_numpy(pictures(3)).permute(0, 3, 1, 2).contiguous() / 255
    expected = plain.get_image_features((pixels - mean[:, None, None]) / std[:, None, None]).pooler_output
    assert torch.equal(tower.embed(tower.tokens(pictures(3))[:, None], None), expected)
    assert torch.nn.functional.cosine_similarity(tower.embed(tokens_of(tower), None), expected).min() > 0.9999


def test_sentences_get_exactly_the_features_of_the_plain_model(
    backbone: ClipBackbone, plain: CLIPModel, folder: Path
) -> None:
    tower = tower_of(backbone, "text")
    features = tower.embed(tower.tokens(inputs_of(tower))[:, None], None)
    tokenizer = CLIPTokenizer.from_pretrained(folder)
    to_longest = tokenizer(TEXTS, padding=True, return_tensors="pt")
    assert torch.equal(features, plain.get_text_features(to_longest["input_ids"]).pooler_output)
    to_context = tokenizer(TEXTS, padding="max_length", max_length=CONTEXT, return_tensors="pt")
    torch.testing.assert_close(features, plain.get_text_features(**to_context).pooler_output)


def test_a_model_that_was_handed_over_works_as_before(folder: Path, plain: CLIPModel) -> None:
    model: CLIPModel = CLIPModel.from_pretrained(folder)
    tokenizer = CLIPTokenizer.from_pretrained(folder)
    vision, text = ClipVision(model), ClipText(model, tokenizer.backend_tokenizer)
    for tower in (vision, text):
        tower.embed(tokens_of(tower), random_prompts(tower))
    inputs = CLIPTokenizer.from_pretrained(folder)(TEXTS, padding=True, return_tensors="pt")
    inputs["pixel_values"] = torch.randn(2, 3, SIZE, SIZE)
    inputs["attention_mask"][1, 3] = 0  # a token in the middle of a sentence that no other may see
    assert torch.equal(model(**inputs).logits_per_image, plain(**inputs).logits_per_image)


@pytest.mark.parametrize("name", TOWERS)
def test_gradients_reach_the_prompts_of_every_layer_and_nothing_else(backbone: ClipBackbone, name: str) -> None:
    tower = tower_of(backbone, name)
    prompts = random_prompts(tower).requires_grad_()
    tokens = tokens_of(tower)
    (gradient,) = torch.autograd.grad(tower.embed(tokens, prompts).square().sum(), prompts)
    assert (gradient.abs().amax(dim=(2, 3)) > 0).all()
    assert not tower.embed(tokens, None).requires_grad


@pytest.mark.parametrize("name", TOWERS)
@pytest.mark.parametrize("layer", range(LAYERS))
def test_the_prompts_of_one_layer_change_the_features(backbone: ClipBackbone, name: str, layer: int) -> None:
    tower = tower_of(backbone, name)
    prompts = torch.zeros(LAYERS, 2, LENGTH, WIDTH)
    prompts[layer] = random_prompts(tower)[layer]
    tokens = tokens_of(tower)
    assert not torch.allclose(tower.embed(tokens, prompts), tower.embed(tokens, None), atol=1e-3)


@pytest.mark.parametrize("name", TOWERS)
def test_prompts_are_a_prefix_for_each_head(backbone: ClipBackbone, plain: CLIPModel, name: str) -> None:
    """Written out: a layer's own attention, and ``softmax(q K_p^T / sqrt(d)) V_p`` of each head beside it."""
    tower, prompts = tower_of(backbone, name), random_prompts(tower_of(backbone, name))
    tokens = tower.tokens(inputs_of(tower)[:1])
    transformer: Any = plain.vision_model if name == "vision" else plain.text_model
    x, size = tokens[:, (tokens[0] != 0).any(-1)], WIDTH // 4
    for layer, prompt in zip(transformer.encoder.layers, prompts, strict=True):
        normed, attention = layer.layer_norm1(x), layer.self_attn
        heads = [part.split(size, dim=-1) for part in (attention.q_proj(normed), *prompt)]
        prefix = [(q @ k.T / size**0.5).softmax(-1) @ v for q, k, v in zip(*heads, strict=True)]
        own = attention(normed, is_causal=name == "text")[0]
        x = x + own + torch.cat(prefix, -1) @ attention.out_proj.weight.T
        x = x + layer.mlp(layer.layer_norm2(x))
    if name == "vision":
        expected = plain.visual_projection(transformer.post_layernorm(x[:, 0]))
    else:
        expected = plain.text_projection(transformer.final_layer_norm(x[:, -1]))
    torch.testing.assert_close(tower.embed(tokens[:, None], prompts), expected)


def test_a_deeper_stem_gives_the_same_features(folder: Path, backbone: ClipBackbone) -> None:
    whole, deep = (
        tower_of(backbone, "vision"),
        tower_of(ClipBackbone(folder, settings=ClipSettings(prompt_from_layer=2)), "vision"),
    )
    assert (whole.layers, deep.layers) == (3, 1)
    prompts = torch.cat([torch.zeros(2, 2, LENGTH, WIDTH), random_prompts(deep)])
    shallow_tokens, deep_tokens = (tower.tokens(pictures(3))[:, None] for tower in (whole, deep))
    torch.testing.assert_close(whole.embed(shallow_tokens, prompts), deep.embed(deep_tokens, prompts[2:]))
    stored = whole.embed(tokens_of(whole), None), deep.embed(tokens_of(deep), None)
    torch.testing.assert_close(*stored, atol=2e-2, rtol=0)


def test_two_models_do_not_disturb_each_other(folder: Path, tmp_path: Path) -> None:
    first, second = ClipBackbone(folder), ClipBackbone(save_clip(tmp_path, seed=1))
    assert first.fingerprint != second.fingerprint
    for name in TOWERS:
        one, other = tower_of(first, name), tower_of(second, name)
        tokens = tokens_of(one)
        alone = one.embed(tokens, random_prompts(one))
        frozen = other.embed(tokens, None)
        assert not torch.allclose(frozen, one.embed(tokens, None), atol=1e-2)
        other.embed(tokens, random_prompts(other, seed=1))
        assert torch.equal(one.embed(tokens, random_prompts(one)), alone)
        one.embed(tokens, random_prompts(one))
        assert torch.equal(other.embed(tokens, None), frozen)


@pytest.mark.parametrize("name", TOWERS)
def test_a_call_that_fails_leaves_nothing_behind(backbone: ClipBackbone, name: str) -> None:
    tower = tower_of(backbone, name)
    tokens = tokens_of(tower)
    frozen = tower.embed(tokens, None)
    with pytest.raises(ValueError, match="shorter"):  # after the two layers that did get prompts
        tower.embed(tokens, random_prompts(tower)[:2])
    assert torch.equal(tower.embed(tokens, None), frozen)


@pytest.mark.parametrize("name", TOWERS)
def test_an_item_gets_the_same_features_in_any_batch(backbone: ClipBackbone, name: str) -> None:
    tower = tower_of(backbone, name)
    tokens, prompts = tokens_of(tower), random_prompts(tower)
    together = tower.embed(tokens, prompts)
    for index in range(3):
        torch.testing.assert_close(tower.embed(tokens[index : index + 1], prompts)[0], together[index])
    torch.testing.assert_close(tower.embed(tokens.flip(0), prompts), together.flip(0))


@pytest.mark.parametrize("name", ["vision", "text"])
def test_each_item_can_have_prompts_of_its_own(backbone: ClipBackbone, name: str) -> None:
    tower = tower_of(backbone, name)
    tokens = torch.cat([tokens_of(tower)[:1]] * 3)
    own = torch.stack([random_prompts(tower, seed) for seed in range(3)])
    alone = [tower.embed(tokens[index : index + 1], own[index]) for index in range(3)]
    torch.testing.assert_close(tower.embed(tokens, own), torch.cat(alone))


def test_a_video_is_the_mean_of_its_frames(backbone: ClipBackbone) -> None:
    tower = tower_of(backbone, "vision")
    video = np.random.default_rng(1).integers(0, 256, (8, 48, 40, 3), dtype=np.uint8)
    frames = tower.stem(tower.prepare("video", video))
    assert frames.shape == (8, 17, WIDTH)
    assert frames.dtype == np.float16
    prompts = random_prompts(tower)
    mixed = Tokens.stack("vision", [frames, frames[:1]])
    single = Tokens.stack("vision", [frame[None] for frame in frames])
    expected = Tower(tower).features(single, prompts)
    features = Tower(tower).features(mixed, prompts)
    torch.testing.assert_close(features, torch.stack([expected.mean(0), expected[0]]))


@pytest.mark.parametrize("name", TOWERS)
def test_the_router_sees_the_frozen_embedding_alone(backbone: ClipBackbone, name: str) -> None:
    tower = tower_of(backbone, name)
    tokens = tokens_of(tower)
    pooled, features = tower.pooled(tokens), tower.embed(tokens, None)
    assert pooled.shape == (3, tower.identity_width)
    torch.testing.assert_close(pooled, torch.nn.functional.normalize(features, dim=-1))
    assert torch.equal(tower.align(features), features)


def test_anchors_are_the_mean_of_the_templates(backbone: ClipBackbone, plain: CLIPModel, folder: Path) -> None:
    anchors = backbone.anchors(["cat", "dog"])
    assert anchors.shape == (2, backbone.width)
    tokenizer = CLIPTokenizer.from_pretrained(folder)
    sentences = tokenizer(
        [template.format("dog") for template in TEMPLATES],
        padding=True,
        truncation=True,
        max_length=CONTEXT,
        return_tensors="pt",
    )
    embedded = plain.get_text_features(**sentences).pooler_output
    mean = torch.nn.functional.normalize(embedded, dim=-1).mean(0)
    torch.testing.assert_close(anchors[1], mean / mean.norm())
    torch.testing.assert_close(torch.tensor(backbone.logit_scale), plain.logit_scale.exp())


def test_a_long_sentence_is_cut_and_keeps_its_end_token(backbone: ClipBackbone) -> None:
    tower = tower_of(backbone, "text")
    row = tower.prepare("text", "word " * 100)
    assert row.shape == (1, CONTEXT)
    assert row[0, -1] == tower.prepare("text", "a")[0, 2]


def test_the_fingerprint_follows_what_the_stem_depends_on(folder: Path, tmp_path: Path, backbone: ClipBackbone) -> None:
    copy = shutil.copytree(folder, tmp_path / "copy")
    assert ClipBackbone(copy).fingerprint == backbone.fingerprint
    assert ClipBackbone(copy, settings=ClipSettings(prompt_from_layer=1)).fingerprint != backbone.fingerprint
    (copy / "preprocessor_config.json").write_text('{"image_mean": [0, 0, 0], "image_std": [1, 1, 1]}')
    other = ClipBackbone(copy)
    assert other.fingerprint != backbone.fingerprint
    stem, other_stem = (one.towers["vision"].encoder.stem(pictures(1)) for one in (backbone, other))
    assert not np.array_equal(stem, other_stem)


@pytest.mark.parametrize(
    ("file", "content", "found"),
    [
        ("model.safetensors", None, r"found no \*\.safetensors"),
        ("tokenizer.json", None, "found no tokenizer.json"),
        ("model.safetensors", b"nothing", "header"),
        ("config.json", BertConfig().to_json_string().encode(), "found a model of type 'bert'"),
    ],
)
def test_an_unusable_folder_is_one_clear_line(
    folder: Path, tmp_path: Path, file: str, content: bytes | None, found: str
) -> None:
    copy = shutil.copytree(folder, tmp_path / "copy")
    (copy / file).unlink()
    if content is not None:
        (copy / file).write_bytes(content)
    with pytest.raises(RemodalError, match=f"{found}.*valid: a folder") as error:
        ClipBackbone(copy)
    assert "\n" not in str(error.value)


def test_missing_folders_weights_and_layers_are_named(folder: Path, tmp_path: Path, plain: CLIPModel) -> None:
    with pytest.raises(RemodalError, match="found no folder"):
        ClipBackbone(tmp_path / "absent")
    with pytest.raises(RemodalError, match="setting backbone.prompt_from_layer: found 3; valid for this model: 0 to 2"):
        ClipBackbone(folder, settings=ClipSettings(prompt_from_layer=3))
    copy = shutil.copytree(folder, tmp_path / "copy")
    weights = plain.state_dict()
    del weights["text_projection.weight"]
    plain.save_pretrained(copy, state_dict=weights)
    with pytest.raises(RemodalError, match=r"found weights without text_projection\.weight"):
        ClipBackbone(copy)
