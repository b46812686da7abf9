"""What all tests share: one thread, one cache into which the frozen networks are exported once, one backbone."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from remodal.backbones.lite import Lite

# the tests' tensors are small: a second thread would wait for the first far longer than it works
torch.set_num_threads(1)


@pytest.fixture(scope="session")
def lite_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """This session's cache folder, with the exported graphs of ``lite``."""
    cache = tmp_path_factory.mktemp("cache")
    towers = Lite(cache).towers
    towers["text"].stem(towers["text"].prepare("text", "a sentence"))
    towers["vision"].stem(towers["vision"].prepare("image", np.zeros((8, 8, 3), np.uint8)))
    return cache


@pytest.fixture(scope="session")
def lite(lite_cache: Path) -> Lite:
    """The embedded backbone on a CPU."""
    return Lite(lite_cache)


@pytest.fixture
def graphs_only(lite_cache: Path, tmp_path: Path) -> Path:
    """A cache of one's own, without any stored token."""
    return Path(shutil.copytree(lite_cache, tmp_path / "cache", ignore=shutil.ignore_patterns("features")))
