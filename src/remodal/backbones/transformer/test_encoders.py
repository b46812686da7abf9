"""An encoder of each family: it sees what its own processor makes, and is itself until it is prompted."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers as hf
from small_models import LAYERS, SIZE, WIDTH, save_clap
from small_towers import LENGTH, READ_BY, WHOLE, loaded, media_of, prepared, prompts_of, read, settings_of, sound
from torch import Tensor
from torch.nn.functional import normalize

from remodal.backbones import WEIGHTLESS, Engine, load_backbone
from remodal.backbones.engine import DTYPES
from remodal.errors import RemodalError
from remodal.features.extract import BATCH_FRAMES
from remodal.learning.run import run
from remodal.learning.settings import RunSettings
from remodal.modalities.audio import RATE, resampled
from remodal.testing.elsewhere import elsewhere


@pytest.mark.parametrize(
    ("family", "method"),
    [*((family, "nearest-mean") for family in READ_BY), *((one, "comm") for one in ("CLAP", "CLIP", "VideoMAE"))],
)
def test_a_run_on_real_files(family: str, method: str, models: Path, data: Path, cache: Path, tmp_path: Path) -> None:
    for modality in READ_BY[family]:
        shutil.copytree(data / modality, tmp_path / "data" / modality)
    asked = RunSettings(
        stream=str(tmp_path / "data"), method=method, backbone="towers", backbone_options=settings_of(family, models),
        options={"steps": 2, "realign_steps": 2} if method == "comm" else {},
    )  # fmt: skip
    found = run(asked, tmp_path / "out", cache)
    assert found["quarantined"] == []
    assert set(found["per_modality"]) == set(READ_BY[family])
    if method == "nearest-mean":
        assert found["summary"]["aware"]["last"] > 0.8


@pytest.mark.parametrize(("family", "modality"), [(family, one) for family, by in READ_BY.items() for one in by])
def test_values_of_zero_change_nothing_and_prompts_of_every_layer_do(
    family: str, modality: str, models: Path, cache: Path
) -> None:
    tower = loaded(family, models, cache).tower(modality)
    tokens, prompts = read(tower, modality, media_of(modality)), prompts_of(tower)
    frozen = tower.features(tokens)
    prompts[:, 1] = 0
    torch.testing.assert_close(tower.features(tokens, prompts), frozen, atol=1e-5, rtol=0)
    assert tower.layers == (1 if (family, modality) in WHOLE else LAYERS)
    prompts = prompts_of(tower).requires_grad_()
    features = tower.features(tokens, prompts)
    assert not torch.allclose(features, frozen, atol=1e-2)
    own = features[:, -(tower.prompt_training.through or tower.feature_width) :]
    (gradient,) = torch.autograd.grad((own * torch.linspace(-1, 1, own.shape[1])).sum(), prompts)
    assert bool((gradient.abs().amax(dim=(2, 3)) > 0).all())  # keys and values of each layer


@pytest.mark.parametrize(("family", "modality"), [(family, one) for family, by in READ_BY.items() for one in by])
def test_an_item_does_not_depend_on_its_company(family: str, modality: str, models: Path, cache: Path) -> None:
    tower = loaded(family, models, cache).tower(modality)
    media = media_of(modality)
    tokens, prompts = read(tower, modality, media), prompts_of(tower, 3)
    together, identity = tower.features(tokens, prompts), tower.identity(tokens)
    for at, medium in enumerate(media):
        alone = read(tower, modality, [medium])
        torch.testing.assert_close(tower.features(alone, prompts[at])[0], together[at], atol=1e-4, rtol=1e-3)
        torch.testing.assert_close(tower.identity(alone)[0], identity[at], atol=1e-4, rtol=1e-3)


def test_a_sound_costs_what_its_windows_cost(models: Path, cache: Path) -> None:
    """Ten seconds are 499 of 20 ms, twice as many as a picture has patches: a network takes half as many at a time."""
    assert loaded("Wav2Vec2", models, cache).tower("audio").encoder.cost == 2


@pytest.mark.parametrize("family", READ_BY)
def test_without_its_weights_it_prepares_the_same(family: str, models: Path, tmp_path: Path) -> None:
    """As a process does that only decodes: models of any size fit beside each other there."""
    whole = loaded(family, models, tmp_path / "whole")
    weightless = load_backbone("towers", tmp_path / "none", WEIGHTLESS, settings_of(family, models))
    assert weightless.reads == whole.reads
    assert not (tmp_path / "none").exists()
    for one, other in zip(prepared(whole), prepared(weightless), strict=True):
        np.testing.assert_array_equal(one, other)


def vector_of(family: str, folder: Path, media: list[Any]) -> Tensor:
    """The library's own, of what its own processor makes; one medium at a time."""
    model: Any = hf.AutoModel.from_pretrained(folder)
    found = []
    with torch.no_grad():
        for medium in media:
            if family in ("DINOv2", "VideoMAE"):
                processor = hf.models.auto.image_processing_auto.AutoImageProcessor.from_pretrained(folder)
                shown = medium if family == "DINOv2" else [frame for frame in medium for _ in range(2)]
                last = model(**processor(shown, return_tensors="pt")).last_hidden_state
                found.append(last[:, 0] if family == "DINOv2" else last.mean(1))
                continue
            if family == "BERT":
                pieces = hf.AutoTokenizer.from_pretrained(folder)(medium, return_tensors="pt")
                found.append(model(**pieces).last_hidden_state.mean(1))
                continue
            extractor = hf.AutoFeatureExtractor.from_pretrained(folder)
            rate = extractor.sampling_rate
            wave = medium if rate == RATE else resampled(medium, RATE, rate)
            inputs = extractor(wave, sampling_rate=rate, return_tensors="pt")
            if family == "CLAP":
                found.append(model.get_audio_features(**inputs).pooler_output)
            elif family == "Wav2Vec2":
                found.append(model(**inputs).last_hidden_state.mean(1))
            elif family == "Whisper":
                found.append(model.encoder(inputs["input_features"]).last_hidden_state.mean(1))
            else:
                found.append(model(**inputs).pooler_output)
    return torch.cat(found)


def test_a_picture_is_seen_and_a_sentence_read_as_by_the_plain_models(models: Path, cache: Path) -> None:
    backbone = loaded("DINOv2", models, cache)
    image, text = backbone.tower("image"), backbone.tower("text")
    pictures = [one[:40, :40] for one in media_of("image")]  # as large as shown, so that nothing is resized
    own = image.features(read(image, "image", pictures))[:, image.encoder.own][:, :WIDTH]
    expected = vector_of("DINOv2", models / "DINOv2", pictures)
    torch.testing.assert_close(normalize(own, dim=-1), normalize(expected, dim=-1), atol=1e-4, rtol=1e-3)
    expected = vector_of("BERT", models / "BERT", media_of("text"))
    torch.testing.assert_close(text.identity(read(text, "text", media_of("text"))), normalize(expected, dim=-1))


@pytest.mark.parametrize(
    ("pooling", "expected"),
    [
        ({"pooling_mode_cls_token": False, "pooling_mode_mean_tokens": True, "include_prompt": True}, "mean"),
        ({"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False, "include_prompt": True}, "cls"),
        ({"pooling_mode": "mean"}, "mean"),
        ({"pooling_mode": "cls"}, "cls"),
        ({"pooling_mode": "lasttoken"}, "lasttoken"),
        ({"pooling_mode": "max"}, "found a pooling max in 1_Pooling; valid: modules Transformer, Pooling"),
        ({"pooling_mode_cls_token": True, "pooling_mode_max_tokens": True}, "found a pooling .*; valid"),
        ([], "; valid"),
        (None, "found a module Dense in modules.json; valid"),
    ],
)
def test_a_folder_of_sentence_transformers_says_what_stands_for_a_sentence(
    pooling: object, expected: str, models: Path, cache: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(models / "BERT", tmp_path / "BERT")
    kinds = {"": "Transformer", "1_Pooling": "Pooling" if pooling is not None else "Dense", "2_Normalize": "Normalize"}
    modules = [{"path": part, "type": f"sentence_transformers.models.{kind}"} for part, kind in kinds.items()]
    (folder / "modules.json").write_text(json.dumps(modules))
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(pooling))
    settings = {"text": str(folder), "centred": False}
    if expected not in ("mean", "cls", "lasttoken"):
        with pytest.raises(RemodalError, match=expected):
            load_backbone("towers", cache, settings=settings)
        return
    text = load_backbone("towers", cache, settings=settings).tower("text")
    tokens = read(text, "text", ["a bell"])
    with torch.no_grad():
        pieces = hf.AutoTokenizer.from_pretrained(folder)("a bell", return_tensors="pt")
        last = hf.AutoModel.from_pretrained(folder)(**pieces).last_hidden_state
    vector = normalize({"cls": last[:, 0], "lasttoken": last[:, -1], "mean": last.mean(1)}[expected], dim=-1)
    torch.testing.assert_close(text.identity(tokens), vector)
    torch.testing.assert_close(text.align(text.features(tokens)), vector)


@pytest.mark.parametrize("family", ["AST", "CLAP", "Whisper"])
def test_sounds_are_heard_as_the_models_own_extractor_gives_them(family: str, models: Path, cache: Path) -> None:
    tower = loaded(family, models, cache).tower("audio")
    media = media_of("audio")
    expected = normalize(vector_of(family, models / family, media), dim=-1)
    own = tower.features(read(tower, "audio", media))[:, tower.encoder.own][:, : expected.shape[1]]
    torch.testing.assert_close(normalize(own, dim=-1), expected, atol=5e-3, rtol=0)
    assert tower.knows_names == (family == "CLAP")


def test_clips_are_seen_whole_and_in_order(models: Path, cache: Path) -> None:
    tower = loaded("VideoMAE", models, cache).tower("video")
    media = [one[:, 4:36, 8:40] for one in media_of("video")]  # of the model's own size, so that nothing is resized
    expected = normalize(vector_of("VideoMAE", models / "VideoMAE", media), dim=-1)
    features = tower.features(read(tower, "video", media))
    torch.testing.assert_close(features[:, tower.encoder.own], expected, atol=1e-4, rtol=1e-3)
    back = tower.features(read(tower, "video", [one[::-1].copy() for one in media]))
    assert not torch.allclose(features, back, atol=1e-2)


@pytest.mark.parametrize("fused", [False, True])
def test_a_sound_longer_than_clap_takes_is_cut_and_never_drawn(fused: bool, models: Path, tmp_path: Path) -> None:
    settings = dict.fromkeys(("audio", "text"), str(save_clap(tmp_path / "CLAP", fused=fused)))
    tower = load_backbone("towers", tmp_path, settings=settings).tower("audio")
    long = np.concatenate([sound(1.5, 440.0), sound(1.5, 3000.0)])
    twice = [tower.encoder.prepare("audio", long) for _ in range(2)]
    assert np.array_equal(*twice)
    whole, cut = (tower.features(read(tower, "audio", [one])) for one in (long, long[: 2 * RATE]))
    torch.testing.assert_close(whole, cut)
    other = tower.features(read(tower, "audio", [long[RATE:]]))
    assert not torch.allclose(whole, other, atol=1e-2)


def test_a_model_of_sounds_of_any_length_hears_ten_seconds(models: Path, cache: Path) -> None:
    """A shorter sound is repeated, a longer one cut."""
    tower = loaded("Wav2Vec2", models, cache).tower("audio")
    short, rate = sound(0.4), 16_000
    twice, longer = np.concatenate([short, short]), np.resize(short, 11 * rate)
    own = tower.features(read(tower, "audio", [short, twice, longer]))[:, tower.encoder.own]
    torch.testing.assert_close(own[:1].expand(2, -1), own[1:], atol=1e-3, rtol=0)
    expected = vector_of("Wav2Vec2", models / "Wav2Vec2", [np.resize(short, 10 * rate)])
    torch.testing.assert_close(normalize(own[:1], dim=-1), normalize(expected, dim=-1), atol=5e-3, rtol=0)


def test_the_shortest_sound_is_heard_too(models: Path, cache: Path) -> None:
    for family in ("AST", "CLAP", "Whisper"):
        tower = loaded(family, models, cache).tower("audio")
        assert bool(tower.features(read(tower, "audio", [np.ones(1, np.float32)])).isfinite().all())


def test_of_photographs_the_middle_is_seen_and_depth_is_seen_whole(models: Path, cache: Path) -> None:
    encoder = loaded("DINOv2", models, cache).tower("image").encoder
    edge = np.zeros((SIZE + 8, SIZE + 8, 3), np.uint8)
    edge[:4] = edge[-4:] = edge[:, :4] = edge[:, -4:] = 255
    assert encoder.prepare("image", edge).max() == 0
    page = np.full((1, SIZE + 8, SIZE + 8), 2.0, np.float32)
    page[:, :4] = 9.0
    pictures = encoder.prepare("depth", page).reshape(SIZE, SIZE, 3)
    assert not np.array_equal(pictures[0], pictures[-1])


def test_features_come_from_the_chosen_layers(models: Path, cache: Path) -> None:
    one, two = (loaded("DINOv2", models, cache, levels=levels).tower("image") for levels in ([1.0], [0.4, 1.0]))
    assert two.feature_width > one.feature_width
    media = media_of("image")
    own = [tower.features(read(tower, "image", media))[:, tower.encoder.own] for tower in (one, two)]
    torch.testing.assert_close(*own)


def test_layers_below_the_prompts_are_stored(models: Path, cache: Path) -> None:
    for family, modality in (("AST", "audio"), ("VideoMAE", "video")):
        whole, deep = (loaded(family, models, cache, prompt_from_layer=layer).tower(modality) for layer in (0, 2))
        media = media_of(modality)
        tokens, own = read(deep, modality, media), prompts_of(deep)
        assert (tokens.frames.dtype, deep.layers) == (torch.float16, LAYERS - 2)
        prompts = torch.cat([torch.zeros(2, 2, LENGTH, WIDTH), own])
        expected = whole.features(read(whole, modality, media), prompts)
        torch.testing.assert_close(deep.features(tokens, own), expected, atol=2e-2, rtol=0)


@pytest.mark.parametrize("family", READ_BY)
def test_sixteen_bits_say_nearly_the_same(family: str, models: Path, cache: Path) -> None:
    whole = loaded(family, models, cache)
    short = load_backbone("towers", cache, Engine.of("cpu", "bfloat16"), settings_of(family, models))
    for modality in {tower: modality for modality, tower in whole.reads.items()}.values():
        found = []
        for tower in (short.tower(modality), whole.tower(modality)):
            tokens, prompts = read(tower, modality, media_of(modality)), 0.1 * prompts_of(tower).requires_grad_()
            features = tower.features(tokens, prompts)
            features.square().mean().backward()
            found.append(torch.cat([tower.features(tokens), features.detach()]))
        assert found[0].dtype == torch.float32
        assert torch.cosine_similarity(*found, dim=-1).min() > 0.97, modality


@pytest.mark.parametrize("family", READ_BY)
def test_towers_compute_where_their_engine_says_and_there_alone(
    family: str, models: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(BATCH_FRAMES, "meta", BATCH_FRAMES["cpu"])

    def found(engine: Engine) -> list[Tensor]:
        backbone = load_backbone("towers", cache, engine, settings_of(family, models))
        given = [backbone.anchors(["a bell"])]
        for name, modality in {tower: modality for modality, tower in backbone.reads.items()}.items():
            tower = backbone.towers[name]
            tokens, prompts = read(tower, modality, media_of(modality)), engine.home_of(prompts_of(tower))
            with engine.home:  # as while a method computes
                features = tower.features(tokens, prompts)
                given += [features, tower.align(features), tower.features(tokens), tower.identity(tokens)]
        return [tensor.cpu() for tensor in given]

    double = torch.float64  # these networks are random: some make rounding in their first layer much larger
    monkeypatch.setitem(DTYPES, "float64", double)
    expected = found(Engine(dtype=double))
    with elsewhere() as device:
        given = found(Engine(device, double))
    for one, other in zip(given, expected, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-4)


def test_a_model_of_pictures_of_any_shape_is_given_squares(models: Path, cache: Path) -> None:
    backbone, plain = loaded("SigLIP2", models, cache, centred=False), hf.AutoModel.from_pretrained(models / "SigLIP2")
    processor = hf.models.auto.image_processing_auto.AutoImageProcessor.from_pretrained(models / "SigLIP2")
    media, tower = [one[:SIZE, :SIZE] for one in media_of("image")], backbone.tower("image")
    with torch.no_grad():
        expected = plain.get_image_features(**processor(media, return_tensors="pt")).pooler_output
    own = tower.align(tower.features(read(tower, "image", media)))
    torch.testing.assert_close(own, normalize(expected, dim=-1), atol=1e-4, rtol=1e-3)
    assert tower.knows_names
    assert backbone.logit_scale == pytest.approx(plain.logit_scale.exp().item())
