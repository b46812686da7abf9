"""The main job on real recordings in five modalities, where they lie beside the checkout."""

from __future__ import annotations

from pathlib import Path

import pytest

from remodal.learning.run import run
from remodal.learning.settings import RunSettings

FIELD = Path(__file__).parents[2] / "shared" / "data" / "field"


@pytest.mark.long
@pytest.mark.skipif(not FIELD.is_dir(), reason="no field recordings beside the checkout (../shared/data/field)")
def test_real_recordings_are_learned_and_kept(tmp_path: Path, lite_cache: Path) -> None:
    found = run(RunSettings(stream=str(FIELD), method="comm"), tmp_path / "run", lite_cache)
    assert found["quarantined"] == []
    assert {task["modality"] for task in found["tasks"]} == {"image", "video", "audio", "depth", "text"}
    assert found["summary"]["agnostic"]["last"] > 0.88
    assert found["summary"]["router_accuracy"] > 0.99
    assert found["summary"]["agnostic"]["forgetting"] < 0.06
