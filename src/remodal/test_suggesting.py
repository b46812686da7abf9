"""What a model suggests to label of real files: what it has not learned, each content once."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import remodal
from remodal.errors import RemodalError
from remodal.suggesting import suggest


@pytest.fixture
def unlabelled(folder: Path, tmp_path: Path) -> Path:
    """Files without labels: green pictures, which are new; a few that were learned; a copy; one that is cut off."""
    root = tmp_path / "unlabelled"
    root.mkdir()
    for number in range(6):
        pixels = np.full((32, 32, 3), 9 * number, np.uint8)
        pixels[..., 1] += 150
        Image.fromarray(pixels).save(root / f"green{number}.png")
    shutil.copy(root / "green0.png", root / "again.png")
    (root / "cut.png").write_bytes((root / "green1.png").read_bytes()[:60])
    for modality in ("image", "text"):
        for path in sorted((folder / modality / "warm").iterdir()):
            shutil.copy(path, root / f"known-{modality}-{path.name}")
    return root


def test_files_that_are_known_are_left_out_and_the_others_are_chosen(
    saved: Path, lite_cache: Path, unlabelled: Path
) -> None:
    model = remodal.load(saved, cache=lite_cache)
    found = suggest(model, sorted(unlabelled.iterdir()), 50)
    names = {Path(one.answer.medium).name for one in found.chosen}
    assert names - {"again.png"} | {"green0.png"} == {f"green{number}.png" for number in range(6)}
    assert (len(found.chosen), found.learned, found.copies) == (6, 16, 1)
    assert [Path(one.path).name for one in found.set_aside] == ["cut.png"]
    assert all(0 <= one.doubt <= 1 and one.answer.best for one in found.chosen)


def test_held_out_files_are_known_without_their_cache(saved: Path, graphs_only: Path, folder: Path) -> None:
    model = remodal.load(saved, cache=graphs_only)
    found = suggest(model, sorted((folder / "image/warm").iterdir()), 50)
    assert (found.chosen, found.learned) == ((), 8)


def test_what_cannot_be_asked_is_refused_in_one_line(saved: Path, lite_cache: Path, unlabelled: Path) -> None:
    model = remodal.load(saved, cache=lite_cache)
    with pytest.raises(RemodalError, match="found 0 to be labelled first; valid: 1 or more"):
        suggest(model, [unlabelled / "green0.png"], 0)
    with pytest.raises(RemodalError, match="has learned no class of video"):
        suggest(model, [unlabelled / "green0.png"], 1, "video")
