"""What the tests of watching share: a folder in which files arrive, and one look at it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from remodal.watching import Entry, watch

Once = Callable[..., list[Entry]]


@pytest.fixture
def traps(tmp_path: Path) -> Path:
    """The folder that is watched; nothing has arrived yet."""
    (tmp_path / "traps").mkdir()
    return tmp_path / "traps"


@pytest.fixture
def once(traps: Path, lite_cache: Path) -> Once:
    """Learn what is there now: what was done."""

    def run(model: Path, **asked: Any) -> list[Entry]:
        return list(watch(traps, model, every=0.01, once=True, cache=lite_cache, **asked))

    return run


@pytest.fixture
def arrive(traps: Path, folder: Path) -> Callable[..., Path]:
    """``arrive("text/warm/0.txt")``: a file of the tests' data arrives; ``as_``: at another place."""

    def copy(path: str, as_: str | None = None) -> Path:
        target = traps / (as_ or path)
        target.parent.mkdir(parents=True, exist_ok=True)
        return Path(shutil.copy(folder / path, target))

    return copy
