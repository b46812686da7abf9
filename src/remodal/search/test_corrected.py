"""An index of a model that forgot, or got a file's name right: files stay, and answers follow when it is refreshed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import remodal
from remodal.correcting import Forget, Relabel, correct
from remodal.search import Index, refresh


def labels(index: Index) -> dict[str, set[str]]:
    """By the folder that a file lies in, what its likeliest class is."""
    found: dict[str, set[str]] = {}
    for one in index.stored():
        found.setdefault("/".join(Path(one.path).parts[-3:-1]), set()).add(one.label)
    return found


def test_answers_follow_a_correction_and_files_stay(index: str, saved: Path, folder: Path, lite_cache: Path) -> None:
    kept = Index.open(index)
    before = {one.path for one in kept.stored()}
    correct(saved, Relabel(sorted((folder / "image/cold").iterdir()), "ice"), cache=lite_cache)
    correct(saved, Forget(classes=["text:cold"]), cache=lite_cache)
    model = remodal.load(saved, cache=lite_cache)
    assert kept.stale(model.lineage) == {"image": 16, "audio": 16, "text": 16}
    assert labels(kept)["image/cold"] == {"cold"}
    assert refresh(kept, model).embedded == 48
    assert {one.path for one in kept.stored()} == before  # they are the user's files
    assert kept.stale(model.lineage) == {}
    assert labels(kept)["image/cold"] == {"ice"}
    assert labels(kept)["text/cold"] == {"warm"}
    (answer,) = model.answers([folder / "image/cold/0.png"])
    (stored,) = kept.stored([str((folder / "image/cold/0.png").resolve())])
    assert answer.place is not None
    assert stored.vector == pytest.approx(answer.place, abs=1e-6)


def test_going_back_makes_what_was_embedded_before_right_again(index: str, saved: Path, lite_cache: Path) -> None:
    first = remodal.load(saved, cache=lite_cache)
    correct(saved, Forget(classes=["text:cold"]), cache=lite_cache)
    kept, model = Index.open(index), remodal.load(saved, cache=lite_cache)
    assert kept.stale(model.lineage) == {"text": 16}  # another encoder reads pictures and sounds
    assert kept.stale(first.lineage) == {}


def test_files_of_a_modality_that_was_forgotten_whole_stay_and_have_a_place(
    index: str, saved: Path, lite_cache: Path
) -> None:
    correct(saved, Forget(classes=["text:cold", "text:warm"]), cache=lite_cache)
    kept, model = Index.open(index), remodal.load(saved, cache=lite_cache)
    done = refresh(kept, model)
    assert (done.embedded, done.refused, len(kept)) == (16, (), 48)
    assert kept.stale(model.lineage) == {}
    assert refresh(kept, model).embedded == 0
    assert all(np.isfinite(one.vector).all() for one in kept.stored())
    hits = kept.search(model.embed_words("a ship on the sea").tolist(), top=8)
    assert {"/".join(Path(hit.path).parts[-3:-1]) for hit in hits} == {"text/cold"}
