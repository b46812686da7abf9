"""A correction is killed at every file that it writes or removes: the model is as it was, or it is right."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

import pytest
from forking import killed_at_a_file

import remodal
from remodal.correcting import Correction, Forget, Relabel, correct
from remodal.errors import RemodalError
from remodal.saved import changing, current_version, history, roll_back, versions
from remodal.testing.candidate import same

CORRECTIONS = ["a class is forgotten", "files are forgotten", "files get another name"]


def correction(kind: str, folder: Path) -> Correction:
    """What is to be put right of the model of ``folder``."""
    low = sorted((folder / "audio/warm").glob("*.wav"))[:2]
    return dict(zip(CORRECTIONS, (Forget(classes=["audio:warm"]), Forget(files=low), Relabel(low, "hum"))))[kind]


@pytest.mark.parametrize("kind", CORRECTIONS)
def test_a_correction_is_killed_at_every_file(
    saved_once: Path, folder: Path, lite_cache: Path, tmp_path: Path, kind: str
) -> None:
    asked = correction(kind, folder)
    wrong = remodal.load(saved_once, cache=lite_cache)
    whole = Path(shutil.copytree(saved_once, tmp_path / "whole"))
    correct(whole, asked, keep=1, cache=lite_cache)
    right = remodal.load(whole, cache=lite_cache)
    assert right.lineage != wrong.lineage
    for number in range(100):
        model = Path(shutil.copytree(saved_once, tmp_path / f"killed {number}"))
        status = killed_at_a_file(number, lambda life: correct(model, asked, keep=1, cache=lite_cache))  # noqa: B023
        found = remodal.load(model, cache=lite_cache)
        assert found.lineage in (wrong.lineage, right.lineage)
        assert [one.version for one in history(model)] == list(range(1, versions(model)[-1].version + 1))
        if found.lineage == wrong.lineage:
            assert all((model / name).exists() for one in versions(model) for name in one.files)
            correct(model, asked, keep=1, cache=lite_cache)
        else:
            with pytest.raises(RemodalError):  # done is done
                correct(model, asked, keep=1, cache=lite_cache)
        assert same(remodal.load(model, cache=lite_cache).method.state(), right.method.state())
        if status == 0:
            break
        assert os.WTERMSIG(status) == signal.SIGKILL
    assert number >= 4  # tensors, the card, the version's description, config.json, what is removed


def test_going_back_is_killed_at_every_file(saved_once: Path, folder: Path, lite_cache: Path, tmp_path: Path) -> None:
    corrected = Path(shutil.copytree(saved_once, tmp_path / "corrected"))
    correct(corrected, correction("a class is forgotten", folder), cache=lite_cache)
    expected = remodal.load(saved_once, cache=lite_cache)
    for number in range(100):
        model = Path(shutil.copytree(corrected, tmp_path / f"killed {number}"))
        status = killed_at_a_file(number, lambda life: gone_back(model))  # noqa: B023
        found = [one.version for one in history(model)]
        assert found == ([1, 2] if current_version(model) == 2 else [1, 2, 1])
        gone_back(model)
        assert [one.version for one in history(model)] == [1, 2, 1]
        assert same(remodal.load(model, cache=lite_cache).method.state(), expected.method.state())
        if status == 0:
            break
        assert os.WTERMSIG(status) == signal.SIGKILL
    assert number >= 4  # the log before and after, the card, config.json


def gone_back(model: Path) -> None:
    """To the first version."""
    with changing(model):
        roll_back(model, 1)
