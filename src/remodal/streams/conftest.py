"""What the tests of streams share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """``write("text/dog/a.txt", ...)`` makes these files, each with its own text; it gives their folder."""
    root = tmp_path / "own data"
    root.mkdir()

    def write(*paths: str) -> Path:
        for path in paths:
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(f"this is {path}", encoding="utf-8")
        return root

    return write


@pytest.fixture
def manifest(write: Write) -> Write:
    """``manifest("path,modality,label", "a.txt,text,dog", ...)`` writes these lines, gives their folder."""

    def manifest(*lines: str) -> Path:
        root = write()
        (root / "manifest.csv").write_text("\n".join(lines), encoding="utf-8")
        return root

    return manifest
