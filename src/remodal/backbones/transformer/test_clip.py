"""CLIP and SigLIP in a folder: the library's own model until prompts say otherwise, and prompts say it in one call."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from small_models import CONTEXT, SHAPE, SIZE, WIDTH, save_clip, save_siglip
from torch import Tensor
from torch.nn.functional import normalize
from transformers import AutoModel, BertConfig, GPT2Config, PreTrainedTokenizerFast
from transformers.models.auto.image_processing_auto import AutoImageProcessor

from remodal.backbones import Backbone, Encoder, Tokens, Tower, load_backbone
from remodal.backbones.names import vocabulary
from remodal.backbones.transformer.towers import EVERY
from remodal.errors import RemodalError
from remodal.features.extract import stem

LENGTH = 5
TEXTS = ["a cat", "the dog sleeps on a mat", "no"]
OTHER = GPT2Config(n_layer=1, n_head=1, n_embd=8, vocab_size=8)
SAVE: dict[str, Callable[[Path, int], Path]] = {"CLIP": save_clip, "SigLIP": save_siglip}


@pytest.fixture(scope="module", params=SAVE)
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return SAVE[request.param](tmp_path_factory.mktemp(request.param), 0)


@pytest.fixture(scope="module")
def plain(folder: Path) -> Any:
    """The library's own model, which remodal never touches."""
    return AutoModel.from_pretrained(folder).requires_grad_(False)


@pytest.fixture(scope="module")
def backbone(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Backbone:
    return load_backbone(str(folder), tmp_path_factory.mktemp("cache"))


def photograph(width: int = 48, height: int = 40) -> NDArray[np.uint8]:
    """Soft colours, so that two ways of resizing it differ little."""
    across, down = np.meshgrid(np.linspace(0, 3, width), np.linspace(0, 3, height))
    waves = [np.sin(across), np.cos(down), np.sin(across + down)]
    return ((np.stack(waves, axis=-1) + 1) * 127).astype(np.uint8)


def pictures(count: int) -> list[NDArray[np.uint8]]:
    return [np.roll(photograph(), 8 * number, axis=1) for number in range(count)]


def read(tower: Tower, modality: str, media: list[Any]) -> Tokens:
    prepared = [(modality, tower.encoder.prepare(modality, medium)) for medium in media]
    return stem(prepared, tower.encoder)


def tokens_of(tower: Tower) -> Tokens:
    return read(tower, "text", TEXTS) if tower.name == "text" else read(tower, "image", pictures(3))


def prompts_of(tower: Tower, *first: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*first, tower.layers, 2, LENGTH, tower.width, generator=generator)


def pixels_of(folder: Path, media: list[NDArray[np.uint8]]) -> Tensor:
    """As the library's own processor makes them."""
    processor = AutoImageProcessor.from_pretrained(folder)
    found: Tensor = processor([Image.fromarray(one) for one in media], return_tensors="pt")["pixel_values"]
    return found


def pieces_of(folder: Path, texts: list[str]) -> dict[str, Tensor]:
    """As the library's own tokenizer makes them, filled up to the context."""
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
    found = tokenizer(texts, padding="max_length", max_length=CONTEXT, return_tensors="pt")
    kept = ["input_ids"] if "siglip" in (folder / "config.json").read_text() else ["input_ids", "attention_mask"]
    return {name: found[name] for name in kept}


def test_pictures_are_those_of_the_models_own_processor(backbone: Backbone, folder: Path) -> None:
    """Up to the grey level or two by which a cut before resizing differs from one after it."""
    encoder = backbone.towers["vision"].encoder
    ours = encoder.inputs(torch.from_numpy(encoder.prepare("image", photograph())))["pixel_values"]  # type: ignore[attr-defined]
    difference = (ours - pixels_of(folder, [photograph()])).abs() * 0.5 * 255
    assert ours.shape == (1, 3, SIZE, SIZE)
    assert difference.max() < 12
    assert difference.mean() < 2


def test_the_models_own_answers_without_examples_can_be_had(folder: Path, plain: Any, tmp_path: Path) -> None:
    """Nothing centred: logits are the library's, but for SigLIP's bias, which is the same for all classes."""
    backbone = load_backbone(str(folder), tmp_path, settings={"centred": False})
    vision, text = backbone.towers["vision"], backbone.towers["text"]
    media = pictures(3)
    embedded = normalize(vision.align(vision.features(read(vision, "image", media))), dim=-1)
    sentences = text.encoder.sentences(TEXTS)  # type: ignore[attr-defined]
    stored = read(vision, "image", media).frames
    given = vision.encoder.inputs(stored)["pixel_values"]  # type: ignore[attr-defined]
    expected = plain(**pieces_of(folder, TEXTS), pixel_values=given).logits_per_image
    bias = getattr(plain, "logit_bias", torch.zeros(1))
    torch.testing.assert_close(backbone.logit_scale * embedded @ sentences.T + bias, expected, atol=2e-3, rtol=1e-3)


def test_sentences_get_the_plain_models_features(backbone: Backbone, plain: Any, folder: Path) -> None:
    text = backbone.towers["text"]
    expected = plain.get_text_features(**pieces_of(folder, TEXTS)).pooler_output
    torch.testing.assert_close(text.identity(tokens_of(text)), normalize(expected, dim=-1))


def test_anchors_are_spread_and_the_models_scale_follows_their_length(
    backbone: Backbone, folder: Path, plain: Any, tmp_path: Path
) -> None:
    names = vocabulary()[::EVERY]
    as_it_is = load_backbone(str(folder), tmp_path, settings={"centred": False})
    own, anchors = as_it_is.anchors(names), backbone.anchors(names)
    torch.testing.assert_close(anchors.norm(dim=-1), torch.ones(len(names)))
    assert own.mean(0).square().sum() > 0.6  # the mean cosine of two names
    assert anchors.mean(0).square().sum() < 0.1
    assert as_it_is.logit_scale == pytest.approx(float(plain.logit_scale.exp()))
    spread = (own - own.mean(0)).norm(dim=-1).mean()
    assert backbone.logit_scale == pytest.approx(as_it_is.logit_scale * float(spread), rel=0.1)


@pytest.mark.parametrize("name", ["vision", "text"])
def test_the_models_own_vector_stands_last_and_is_all_that_is_published(backbone: Backbone, name: str) -> None:
    tower, published = backbone.towers[name], backbone.published().towers[name]
    tokens = tokens_of(tower)
    assert tower.feature_width > published.feature_width == backbone.width == tower.identity_width
    torch.testing.assert_close(published.features(tokens), tower.identity(tokens))
    prompts = prompts_of(tower)
    features = published.features(tokens, prompts)
    torch.testing.assert_close(published.align(features), tower.align(tower.features(tokens, prompts)))
    assert torch.equal(published.frozen(tokens), tower.frozen(tokens))  # what is stored serves both


def test_a_deeper_stem_gives_the_same_features(folder: Path, backbone: Backbone, tmp_path: Path) -> None:
    whole = backbone.towers["vision"]
    deep = load_backbone(str(folder), tmp_path, settings={"prompt_from_layer": 2}).towers["vision"]
    assert (whole.layers, deep.layers) == (3, 1)
    own = prompts_of(deep)
    prompts = torch.cat([torch.zeros(2, 2, LENGTH, WIDTH), own])
    expected = whole.features(tokens_of(whole), prompts)
    torch.testing.assert_close(deep.features(tokens_of(deep), own), expected, atol=1e-2, rtol=0)


def test_a_videos_vector_is_the_mean_of_its_frames(backbone: Backbone, plain: Any) -> None:
    tower = backbone.towers["vision"]
    video = np.stack(pictures(4))
    tokens = read(tower, "video", [video])
    given = tower.encoder.inputs(tokens.frames)["pixel_values"]  # type: ignore[attr-defined]
    expected = plain.get_image_features(pixel_values=given).pooler_output.mean(0, keepdim=True)
    torch.testing.assert_close(tower.align(tower.features(tokens)), normalize(expected, dim=-1), atol=1e-4, rtol=1e-3)


def test_a_long_sentence_is_cut_and_keeps_its_end(backbone: Backbone) -> None:
    encoder: Encoder = backbone.towers["text"].encoder
    pieces = [encoder.prepare("text", text).view("<i4").ravel() for text in ("word " * 100, "a")]
    assert pieces[0].shape == (CONTEXT,)
    assert pieces[0][-1] == pieces[1][pieces[1] >= 0][-1]


def test_the_fingerprint_follows_what_features_depend_on(folder: Path, tmp_path: Path, backbone: Backbone) -> None:
    copy = shutil.copytree(folder, tmp_path / "copy")

    def fingerprint(**settings: object) -> str:
        return load_backbone(str(copy), tmp_path, settings=settings).fingerprint

    assert fingerprint() == fingerprint(centred=False) == backbone.fingerprint
    assert len({backbone.fingerprint, fingerprint(prompt_from_layer=1), fingerprint(levels=[1.0])}) == 3
    processor = copy / "preprocessor_config.json"
    processor.write_text(json.dumps({**json.loads(processor.read_text()), "image_mean": [0.1, 0.2, 0.3]}))
    other = load_backbone(str(copy), tmp_path)
    assert other.fingerprint != backbone.fingerprint
    features = [one.towers["vision"].features(tokens_of(one.towers["vision"])) for one in (backbone, other)]
    assert not torch.allclose(*features, atol=1e-2)


def test_a_processor_that_a_newer_version_has_saved_counts_too(folder: Path, tmp_path: Path) -> None:
    """What newer versions write is one file for pictures and text, in which the processor of pictures is a part."""
    copy = shutil.copytree(folder, tmp_path / "copy")
    old = copy / "preprocessor_config.json"
    told = {**json.loads(old.read_text()), "image_mean": [0.1, 0.2, 0.3]}
    old.unlink()
    (copy / "processor_config.json").write_text(json.dumps({"image_processor": told, "processor_class": "X"}))
    encoder: Any = load_backbone(str(copy), tmp_path).towers["vision"].encoder
    black = encoder.inputs(torch.from_numpy(encoder.prepare("image", np.zeros((SIZE, SIZE, 3), np.uint8))))
    expected = -torch.tensor(told["image_mean"]) / torch.tensor(told["image_std"])
    torch.testing.assert_close(black["pixel_values"][0, :, 0, 0], expected)


@pytest.mark.parametrize(
    ("file", "content", "found"),
    [
        ("model.safetensors", None, r"found no \*\.safetensors"),
        ("model.safetensors", b"version https://git-lfs", "header"),
        ("config.json", None, "found no config.json"),
        ("config.json", b"{", "valid: an encoder of transformers"),
        ("config.json", OTHER.to_json_string().encode(), "weights without"),
        ("config.json", BertConfig(**SHAPE, vocab_size=8).to_json_string().encode(), "weights without"),
        ("tokenizer.json", None, "found no tokenizer.json"),
        ("tokenizer.json", b"[]", "valid: the tokenizer.json"),
        ("preprocessor_config.json", None, "found no preprocessor_config.json"),
        ("preprocessor_config.json", b"{", "valid: the preprocessor_config.json"),
    ],
)
def test_an_unusable_folder_is_one_clear_line(
    folder: Path, tmp_path: Path, file: str, content: bytes | None, found: str
) -> None:
    copy = shutil.copytree(folder, tmp_path / "copy")
    (copy / file).unlink()
    if content is not None:
        (copy / file).write_bytes(content)
    with pytest.raises(RemodalError, match=found) as error:
        load_backbone(str(copy), tmp_path)
    assert str(error.value).startswith(str(copy))
    assert "\n" not in str(error.value)


def test_weights_that_are_cut_short_or_missing_are_named(folder: Path, tmp_path: Path, plain: Any) -> None:
    copy = shutil.copytree(folder, tmp_path / "copy")
    weights = copy / "model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(RemodalError, match="valid: an encoder of transformers"):
        load_backbone(str(copy), tmp_path)
    state = plain.state_dict()
    del state["logit_scale"]
    plain.save_pretrained(copy, state_dict=state)
    with pytest.raises(RemodalError, match="found weights without logit_scale"):
        load_backbone(str(copy), tmp_path)
    with pytest.raises(RemodalError, match="prompt_from_layer: found 3; valid for the vision model: 0 to 2"):
        load_backbone(str(folder), tmp_path, settings={"prompt_from_layer": 3})
