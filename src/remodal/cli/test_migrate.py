"""``remodal migrate``."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_models import save_clip

from remodal.cli.conftest import Cli

pytest.importorskip("transformers", reason="pip install 'remodal[transformer]'")


def test_a_model_and_its_index_move_and_go_back(
    cli: Cli, saved: Path, folder: Path, index: str, tmp_path: Path
) -> None:
    clip = save_clip(tmp_path / "clip")
    done = cli("migrate", saved, "--backbone", clip, "--data", folder, "--index", index)
    assert done.exit_code == 0, done.output
    assert "learned again: 36 items; held out: 12" in done.output
    assert f"version 2, on {clip}" in " ".join(done.output.split())
    found = cli("search", index, "--file", folder / "audio/cold/2.wav", "--trust-backbone", clip)
    assert found.exit_code == 0, found.output
    assert "audio" in found.output
    assert cli("rollback", saved).exit_code == 0
    assert cli("search", index, "--file", folder / "audio/cold/2.wav").exit_code == 0


def test_a_setting_of_something_else_is_refused(cli: Cli, saved: Path, folder: Path) -> None:
    done = cli("migrate", saved, "--backbone", "vit", "--data", folder, "--set", "steps=3")
    assert (done.exit_code, "unknown setting 'steps'" in done.output) == (2, True)
