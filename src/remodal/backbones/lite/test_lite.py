"""``lite``: what its stems keep, that both runtimes agree, and what a router may see."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from remodal.adaptation.prompts import fresh_prompts
from remodal.backbones import WEIGHTLESS, Tokens, backbones, load_backbone
from remodal.backbones.lite.efficientnet import normalised
from remodal.backbones.lite.lite import Lite
from remodal.errors import RemodalError, UnknownName
from remodal.features.extract import stem
from remodal.modalities import Visual, get_modality

SENTENCES = ("a small thing", "any of various breeds of very large long-haired things kept in the mountains", "ship")


def moving_square() -> NDArray[np.uint8]:
    """Eight frames ``[8, 96, 96, 3]``: a square goes from left to right and grows."""
    frames = np.full((8, 96, 96, 3), 40, np.uint8)
    for time, frame in enumerate(frames):
        frame[30 : 50 + 2 * time, 8 * time : 8 * time + 24] = (220, 90, 30)
    return frames


def rising_tone() -> NDArray[np.float32]:
    """One second at 16 kHz, from 300 Hz to 3 kHz, louder and louder."""
    seconds = np.arange(16_000) / 16_000
    phase = 2 * np.pi * (300 * seconds + 1350 * seconds**2)
    return (np.sin(phase) * seconds).astype(np.float32)


def slope() -> NDArray[np.float32]:
    """Metres ``[1, 60, 60]``: a slope from 1 m to 2 m with a box on it and a border without readings."""
    metres = np.tile(np.linspace(1, 2, 60, dtype=np.float32), (60, 1))
    metres[20:40, 20:40] -= 0.3
    metres[:5] = 0
    return metres[None]


def photo() -> NDArray[np.uint8]:
    """A gradient with a disc ``[100, 120, 3]``."""
    y, x = np.mgrid[:100, :120]
    disc = (y - 50) ** 2 + (x - 60) ** 2 < 900
    return np.stack([2 * y, 2 * x, 255 * disc], axis=-1).clip(0, 255).astype(np.uint8)


MEDIA: dict[str, Any] = {"image": photo(), "video": moving_square(), "audio": rising_tone(), "depth": slope()}


def tokens_of(lite: Lite, modality: str, *media: Any) -> Tokens:
    tower = lite.tower(modality)
    return stem([(modality, tower.encoder.prepare(modality, medium)) for medium in media], tower.encoder)


def features_of(lite: Lite, modality: str, *media: Any) -> Tensor:
    return lite.tower(modality).features(tokens_of(lite, modality, *media))


def apart(features: Tensor) -> float:
    """Distance of two items as a share of the first one's norm; rounding alone gives less than 1e-5."""
    return float((features[0] - features[1]).norm() / features[0].norm())


def pictures(count: int) -> NDArray[np.float32]:
    return normalised(np.random.default_rng(0).integers(0, 256, (count, 128, 128, 3), dtype=np.uint8), 1.0)


@pytest.mark.parametrize(
    ("modality", "contrast", "brightness"),
    [("image", 1, (0, 0, 0)), ("video", 1, (0, 0, 0)), ("audio", 2, (0, 0, 0)), ("depth", 2, (4, 12, 26))],
)
def test_grey_values_enter_as_the_network_was_trained_at_their_modalitys_contrast(
    lite: Lite, modality: str, contrast: int, brightness: tuple[int, int, int]
) -> None:
    reader = get_modality(modality)
    assert isinstance(reader, Visual)
    drawn = reader.pictures(MEDIA[modality], 128).astype(int)
    expected = (contrast * (drawn + brightness - 127) / 128).astype(np.float32)  # nothing is clipped or rounded
    tower = lite.tower(modality)
    assert np.array_equal(
        tower.encoder.normalised(modality, tower.encoder.prepare(modality, MEDIA[modality])), expected
    )


def test_onnx_runtime_and_torch_agree_on_pictures(lite: Lite) -> None:
    network = lite.towers["vision"].encoder._network  # type: ignore[attr-defined]
    seen = np.concatenate([pictures(2), normalised(lite.tower("image").encoder.prepare("image", photo()), 1.0)])
    with torch.inference_mode():
        expected = network.module(torch.from_numpy(seen)).numpy()
    np.testing.assert_allclose(network(pictures=seen), expected, rtol=1e-3, atol=1e-3)


def test_onnx_runtime_and_torch_agree_on_sentences(lite: Lite) -> None:
    tower = lite.tower("text")
    network = tower.encoder._network  # type: ignore[attr-defined]
    for sentence in SENTENCES:
        row = tower.encoder.prepare("text", sentence)
        word_pieces = row[row >= 0][None]
        with torch.inference_mode():
            expected = network.module(torch.from_numpy(word_pieces)).numpy()
        np.testing.assert_allclose(network(word_pieces=word_pieces), expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("size", [1, 2, 7, 16])
def test_a_pictures_tokens_do_not_depend_on_its_batch(lite: Lite, size: int) -> None:
    tower, seen = lite.tower("image"), pictures(16)
    parts = [tower.encoder.stem(seen[start : start + size]) for start in range(0, 16, size)]
    assert np.concatenate(parts).tobytes() == tower.encoder.stem(seen[::-1])[::-1].tobytes()


def test_a_sentences_tokens_do_not_depend_on_its_batch(lite: Lite) -> None:
    tower = lite.tower("text")
    rows = np.concatenate([tower.encoder.prepare("text", sentence) for sentence in SENTENCES])
    alone = [tower.encoder.stem(row[None]) for row in rows]
    assert tower.encoder.stem(rows).tobytes() == np.concatenate(alone).tobytes()


@pytest.mark.parametrize("modality", MEDIA)
def test_features_do_not_depend_on_the_other_items(lite: Lite, modality: str) -> None:
    medium = MEDIA[modality]
    other = medium[::-1].copy()
    together = features_of(lite, modality, other, medium, other)
    torch.testing.assert_close(together[1], features_of(lite, modality, medium)[0], rtol=0, atol=1e-6)


def test_video_keeps_the_order_of_its_frames(lite: Lite) -> None:
    assert apart(features_of(lite, "video", moving_square(), moving_square()[::-1])) > 0.1


def test_audio_keeps_time(lite: Lite) -> None:
    assert apart(features_of(lite, "audio", rising_tone(), rising_tone()[::-1].copy())) > 0.1


def test_audio_keeps_time_over_several_pictures(lite: Lite) -> None:
    tone = np.concatenate([np.zeros(40_000, np.float32), rising_tone()])
    tokens = tokens_of(lite, "audio", tone, tone[::-1].copy())
    assert tokens.lengths.tolist() == [3, 3]
    assert apart(lite.tower("audio").features(tokens)) > 0.1


def test_depth_keeps_metres(lite: Lite) -> None:
    """The item's own scale is the same at twice the distance; only metres tell the two apart."""
    same, twice = features_of(lite, "depth", slope(), slope()), features_of(lite, "depth", slope(), 2 * slope())
    assert torch.equal(same[0], same[1])
    assert apart(twice) > 0.1


def test_layout_survives(lite: Lite) -> None:
    upside_down = features_of(lite, "image", photo(), photo()[::-1].copy())
    mirrored = features_of(lite, "image", photo(), photo()[:, ::-1].copy())
    assert apart(upside_down) > 0.1
    assert apart(mirrored) > 0.1


@pytest.mark.parametrize("modality", [*MEDIA, "text"])
def test_prompts_of_value_zero_leave_every_bit_of_the_frozen_model(lite: Lite, modality: str) -> None:
    media = SENTENCES if modality == "text" else (MEDIA[modality],)
    tower, tokens = lite.tower(modality), tokens_of(lite, modality, *media)
    prompts = fresh_prompts(tower, 8, torch.Generator().manual_seed(0))
    assert prompts.shape == (tower.layers, 2, 8, tower.width)
    assert torch.equal(tower.features(tokens, prompts), tower.features(tokens))
    prompts[:, 1] += 0.1
    assert not torch.equal(tower.features(tokens, prompts), tower.features(tokens))


@pytest.mark.parametrize("modality", [*MEDIA, "text"])
def test_gradients_reach_keys_and_values(lite: Lite, modality: str) -> None:
    media = SENTENCES if modality == "text" else (MEDIA[modality],)
    tower, tokens = lite.tower(modality), tokens_of(lite, modality, *media)
    prompts = torch.randn(1, 2, 4, tower.width, generator=torch.Generator().manual_seed(0)).requires_grad_()
    tower.align(tower.features(tokens, prompts)).square().sum().backward()
    assert prompts.grad is not None
    assert prompts.grad.isfinite().all()
    assert (prompts.grad.abs().sum((0, 2, 3)) > 0).all()


def test_a_router_sees_one_shape_and_scale_whatever_the_modality(lite: Lite) -> None:
    seen = {modality: lite.tower(modality).identity(tokens_of(lite, modality, *[medium] * 2))
            for modality, medium in MEDIA.items()}  # fmt: skip
    assert {identity.shape for identity in seen.values()} == {(2, 3936)}
    for identity in seen.values():
        torch.testing.assert_close(identity.norm(dim=1), torch.ones(2))


def test_a_router_sees_neither_how_many_frames_there_are_nor_their_order(lite: Lite) -> None:
    tower = lite.tower("video")
    still = tower.identity(tokens_of(lite, "video", photo()[None].repeat(8, axis=0)))
    torch.testing.assert_close(still, tower.identity(tokens_of(lite, "image", photo())), rtol=0, atol=1e-5)
    played = tower.identity(tokens_of(lite, "video", moving_square(), moving_square()[::-1]))
    torch.testing.assert_close(played[0], played[1], rtol=0, atol=1e-5)


def test_what_a_router_sees_of_a_still_are_its_features_without_their_temporal_half(lite: Lite) -> None:
    tower, tokens = lite.tower("image"), tokens_of(lite, "image", photo())
    features = tower.features(tokens)
    layout, temporal, last = features.split([4 * 664, 4 * 664, 1280], dim=1)
    assert not temporal.any()
    expected = torch.cat([layout, last], dim=1) / 17**0.5  # 4 tokens of 4 levels, and the last layer: 17 unit vectors
    torch.testing.assert_close(tower.identity(tokens), expected)


def test_anchors_are_unit_vectors_one_a_name(lite: Lite) -> None:
    anchors = lite.anchors(["dog", "cat", "electric guitar", "dog"])
    assert anchors.shape == (4, lite.width)
    torch.testing.assert_close(anchors.norm(dim=1), torch.ones(4))
    assert torch.equal(anchors[0], anchors[3])
    close = anchors @ anchors.T
    assert close[0, 1] > close[0, 2]  # a cat is nearer to a dog than a guitar is


@pytest.mark.parametrize("modality", [*MEDIA, "text"])
def test_every_modality_reaches_the_text_space(lite: Lite, modality: str) -> None:
    medium = SENTENCES[0] if modality == "text" else MEDIA[modality]
    features = features_of(lite, modality, medium)
    assert features.shape == (1, lite.tower(modality).feature_width)
    assert lite.tower(modality).align(features).shape == (1, lite.width)


def test_a_sentence_is_nearest_to_the_name_of_what_it_is_about(lite: Lite) -> None:
    names = ["horse", "ship", "cheese"]
    about = ("an animal with hooves that is ridden", "a vessel that sails the sea", "made from curdled milk")
    embedded = lite.tower("text").align(features_of(lite, "text", *about))
    assert (embedded @ lite.anchors(names).T).argmax(1).tolist() == [0, 1, 2]


def test_the_fingerprint_is_of_weights_and_version_alone(
    lite: Lite, lite_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    again, later = Lite(lite_cache), Lite(lite_cache)
    assert again.fingerprint == lite.fingerprint
    assert re.fullmatch("lite-[0-9a-f]{16}", lite.fingerprint)
    monkeypatch.setattr("remodal.backbones.lite.lite.STEM_VERSION", "later")
    assert later.fingerprint != lite.fingerprint


def test_what_was_exported_once_is_read_later(lite: Lite, lite_cache: Path) -> None:
    lite.anchors(["dog"])
    tokens = tokens_of(lite, "image", photo())
    written = {file: file.stat().st_mtime_ns for file in lite_cache.rglob("*.onnx")}
    again = Lite(lite_cache)
    assert torch.equal(tokens_of(again, "image", photo()).frames, tokens.frames)
    assert torch.equal(again.anchors(["dog"]), lite.anchors(["dog"]))
    assert written == {file: file.stat().st_mtime_ns for file in lite_cache.rglob("*.onnx")}
    assert len(written) == 2


def test_nothing_is_reported_to_anyone(lite_cache: Path, tmp_path: Path) -> None:
    """ONNX Runtime would keep an identifier of the machine and a queue of reports in the user's folder."""
    script = (
        "import sys; from pathlib import Path; from remodal.backbones.lite.lite import Lite\n"
        "Lite(Path(sys.argv[1])).embed_name('a dog')"
    )
    environment = {name: value for name, value in os.environ.items() if name not in ("CI", "ORT_DISABLE_TELEMETRY")}
    for name in ("HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME"):
        environment[name] = str(tmp_path)
    subprocess.run([sys.executable, "-c", script, lite_cache], env=environment, check=True)
    assert [
        path for path in tmp_path.rglob("*") if "onnx" in path.name.lower() or "microsoft" in path.name.lower()
    ] == []


@pytest.mark.parametrize("modality", MEDIA)
def test_without_its_weights_it_prepares_the_same(lite: Lite, modality: str, tmp_path: Path) -> None:
    weightless = load_backbone("lite", tmp_path / "cache", WEIGHTLESS)
    prepared = weightless.tower(modality).encoder.prepare(modality, MEDIA[modality])
    np.testing.assert_array_equal(prepared, lite.tower(modality).encoder.prepare(modality, MEDIA[modality]))
    assert not (tmp_path / "cache").exists()


def test_an_unknown_backbone_or_modality_is_a_users_mistake(lite: Lite, tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match="did you mean 'lite'"):
        load_backbone("litte", tmp_path)
    with pytest.raises(RemodalError, match="does not read touch; it reads: image, video, audio, depth, text"):
        lite.tower("touch")
    assert "lite" in backbones.names()


@pytest.mark.parametrize("modality", ["video", "text"])
def test_each_item_can_have_prompts_of_its_own(lite: Lite, modality: str) -> None:
    media = SENTENCES[:2] if modality == "text" else (moving_square(), moving_square()[::-1].copy())
    tower, tokens = lite.tower(modality), tokens_of(lite, modality, *media)
    own = torch.randn(2, 1, 2, 3, tower.width, generator=torch.Generator().manual_seed(0))
    alone = [tower.features(tokens[index : index + 1], own[index]) for index in range(2)]
    torch.testing.assert_close(tower.features(tokens, own), torch.cat(alone))


@pytest.mark.parametrize("modality", ["video", "text"])
def test_the_published_view_shows_the_last_layers_mean_token_alone(lite: Lite, modality: str) -> None:
    media = SENTENCES if modality == "text" else (MEDIA[modality],)
    tower, tokens = lite.tower(modality), tokens_of(lite, modality, *media)
    last = lite.published().tower(modality)
    whole = tower.features(tokens)
    torch.testing.assert_close(last.features(tokens), whole[:, :384] if modality == "text" else whole[:, -1280:])
    assert torch.equal(last.identity(tokens), last.features(tokens))
    torch.testing.assert_close(
        last.align(last.features(tokens)), tower.align(tower.features(tokens)), atol=1e-3, rtol=0
    )
