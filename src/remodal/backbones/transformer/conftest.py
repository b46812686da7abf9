"""Small models of every family, and real files for them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
from PIL import Image
from small_models import SAVED
from small_towers import COLOURS, TONES, write_clip

from remodal.modalities.audio import RATE


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder a family."""
    root = tmp_path_factory.mktemp("models")
    for name, save in SAVED.items():
        save(root / name)
    return root


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
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
