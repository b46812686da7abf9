"""Where networks compute: on a device that isn't there, so that a machine without a GPU tells what one would refuse."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, models
from torch import Tensor, nn
from transformers import BertConfig, BertModel, Dinov2Config, Dinov2Model

from remodal.backbones import Encoder, Engine, Tower
from remodal.backbones.lite.frozen import FrozenNetwork
from remodal.backbones.pooling import ClipPooling
from remodal.backbones.transformer.anatomies import take_apart
from remodal.backbones.transformer.layers import Use
from remodal.backbones.transformer.pictures import Preprocessing, TransformerVision
from remodal.backbones.transformer.sentences import TransformerText, Wording
from remodal.features.extract import BATCH_FRAMES, stem
from remodal.testing.elsewhere import elsewhere

ELSEWHERE = torch.device("meta")


def vision(engine: Engine, layer: int) -> Encoder:
    torch.manual_seed(0)
    config = Dinov2Config(hidden_size=16, num_attention_heads=2, num_hidden_layers=3, image_size=28, patch_size=7)
    anatomy = take_apart(engine.placed(Dinov2Model(config)))["vision"]
    return TransformerVision(anatomy, Use((2, 3), 8, layer, engine), Preprocessing(28, (0.5,) * 3, (0.25,) * 3))


def text(engine: Engine, layer: int) -> Encoder:
    torch.manual_seed(0)
    config = BertConfig(hidden_size=16, num_attention_heads=2, num_hidden_layers=3, intermediate_size=16, vocab_size=4)
    words = Tokenizer(models.WordLevel({"a": 0, "dog": 1, "?": 2}, unk_token="?"))  # noqa: S106
    return TransformerText(take_apart(engine.placed(BertModel(config)))["text"], Wording(words, 8), 2, engine)


PICTURES = [np.random.default_rng(frames).integers(0, 256, (frames, 30, 30, 3), np.uint8) for frames in (1, 3, 1)]


def found(encoder: Encoder, modality: str) -> list[Tensor]:
    """What an encoder and its tower give, with prompts for all, one an item, and none; and the gradient of a prompt."""
    tower, media = Tower(encoder), PICTURES if modality == "video" else ["a", "dog", "a"]
    prepared = [(modality, encoder.prepare(modality, one)) for one in media]
    tokens = stem(prepared, encoder)
    drawn = torch.randn(3, tower.layers, 2, 2, tower.width, generator=torch.Generator().manual_seed(1))
    each = encoder.engine.home_of(drawn)
    one = each[0].clone().requires_grad_()
    with encoder.engine.home:  # as while a method computes: its tensors are made there
        prompted = tower.features(tokens, one)
        prompted.square().sum().backward()  # type: ignore[no-untyped-call]
        assert one.grad is not None
        given = [prompted.detach(), one.grad, tower.features(tokens, each)]
        given += [tower.features(tokens), tower.identity(tokens)]
    return [tensor.cpu() for tensor in given]


@pytest.mark.parametrize(
    ("build", "modality", "layer"), [(vision, "video", 0), (vision, "video", 2), (text, "text", 0)]
)
def test_an_encoder_computes_where_its_engine_says_and_there_alone(
    build: Callable[[Engine, int], Encoder], modality: str, layer: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(BATCH_FRAMES, ELSEWHERE.type, BATCH_FRAMES["cpu"])
    expected = found(build(Engine(), layer), modality)
    with elsewhere() as device:
        given = found(build(Engine(device), layer), modality)
    for one, other in zip(given, expected, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-4)


def test_a_frozen_network_is_built_on_the_cpu_wherever_it_is_first_asked_for(tmp_path: Path) -> None:
    network = FrozenNetwork(lambda: nn.Linear(2, 2), {"rows": torch.zeros(1, 2)}, tmp_path / "graph.onnx")
    with ELSEWHERE:
        assert {parameter.device.type for parameter in network.module.parameters()} == {"cpu"}


def test_frames_have_the_same_codes_wherever_tensors_are_made() -> None:
    pooling, tokens = ClipPooling([4], tokens=1), torch.arange(20.0).view(1, 5, 1, 4)
    expected = pooling(tokens)
    with ELSEWHERE:
        assert torch.equal(pooling(tokens), expected)


def test_what_is_repeatable_on_a_gpu_is_so_within_the_block_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    memory: Any = torch.utils.deterministic
    for engine, mode, filled in ((Engine(), 0, True), (Engine(torch.device("cuda")), 2, False)):
        with engine.repeatable():
            assert (torch.get_deterministic_debug_mode(), memory.fill_uninitialized_memory) == (mode, filled)
        assert (torch.get_deterministic_debug_mode(), memory.fill_uninitialized_memory) == (0, True)
