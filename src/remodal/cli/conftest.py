"""What the tests of the command line share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from PIL import Image
from typer.testing import CliRunner, Result

from remodal.cli import app

Cli = Callable[..., Result]


@pytest.fixture
def cache(lite_cache: Path) -> Path:
    """The session's cache."""
    return lite_cache


@pytest.fixture
def cli(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cli]:
    """``cli("run", "--stream", ...)`` in an empty folder."""
    monkeypatch.setenv("REMODAL_CACHE", str(cache))
    monkeypatch.chdir(tmp_path)
    threads = torch.get_num_threads()
    yield lambda *arguments: CliRunner().invoke(app, [str(argument) for argument in arguments])
    torch.set_num_threads(threads)


@pytest.fixture
def own_data(tmp_path: Path) -> Path:
    """Two classes of eight sentences, two of eight pictures."""
    root = tmp_path / "own data"
    for label, topic in (("tea", "a cup of hot tea with milk"), ("ships", "a ship that sails the sea")):
        folder = root / "text" / label
        folder.mkdir(parents=True)
        for number in range(8):
            (folder / f"{number}.txt").write_text(f"{topic}, number {number}", encoding="utf-8")
    for label, colour in (("red", (220, 20, 20)), ("blue", (20, 20, 220))):
        folder = root / "image" / label
        folder.mkdir(parents=True)
        for number in range(8):
            Image.new("RGB", (16 + number, 16), colour).save(folder / f"{number}.png")
    return root


@pytest.fixture
def broken_data(own_data: Path) -> Path:
    """The same, and in it a sentence that isn't UTF-8 and a picture that is cut off."""
    (own_data / "text" / "tea" / "latin1.txt").write_bytes(b"th\xe9 au lait")
    whole = (own_data / "image" / "red" / "0.png").read_bytes()
    (own_data / "image" / "red" / "cut.png").write_bytes(whole[: len(whole) // 2])
    return own_data
