"""Saved models that learned in several places become one."""

from __future__ import annotations

from pathlib import Path

import pytest

import remodal
from remodal.errors import RemodalError
from remodal.merging import merge
from remodal.streams.base import Column
from remodal.updating import update

TEXTS = {"tea": "hot tea", "ship": "a ship at sea", "rain": "rain and wind", "chess": "a game of chess"}


@pytest.fixture
def lesson(tmp_path: Path) -> dict[str, Path]:
    """By class, a folder of twelve sentences."""
    for label, text in TEXTS.items():
        folder = tmp_path / f"on {label}" / "text" / label
        folder.mkdir(parents=True)
        for number in range(12):
            (folder / f"{number}.txt").write_text(f"{text}, {number}")
    return {label: tmp_path / f"on {label}" for label in TEXTS}


def taught(folder: Path, lesson: Path, cache: Path, method: str = "remodal") -> Path:
    """A model that has learned ``lesson`` alone, saved in ``folder``."""
    model = remodal.Model(method, cache=cache)
    for task in remodal.stream(lesson):
        model.learn(task, origin=lesson.name)
    return model.save(folder)


def test_two_houses_that_began_from_one_model(lesson: dict[str, Path], lite_cache: Path, tmp_path: Path) -> None:
    start = taught(tmp_path / "start", lesson["tea"], lite_cache)
    north, south = tmp_path / "north", tmp_path / "south"
    update(start, lesson["ship"], north, cache=lite_cache)
    update(start, lesson["rain"], south, cache=lite_cache)
    done = merge([north, south], tmp_path / "all", start, cache=lite_cache)
    assert done.columns == tuple(Column("text", name) for name in ("tea", "ship", "rain"))
    assert done.after["text"].agnostic == 1.0
    assert done.after["text"].items == sum(one["text"].items for one in done.before) - 3  # the start's count once
    model = remodal.load(tmp_path / "all", cache=lite_cache)
    assert [source.origin for source in model.learned_.sources] == ["on tea", "on ship", "on rain"]
    found = model.predict([remodal.Text("a ship at sea, 40"), remodal.Text("rain and wind, 40")])
    assert [best.label for (best,) in found] == ["ship", "rain"]
    assert remodal.load(north, cache=lite_cache).lineage["text"] != model.lineage["text"]


def test_the_order_in_which_they_are_named_does_not_matter_to_what_was_learned(
    lesson: dict[str, Path], lite_cache: Path, tmp_path: Path
) -> None:
    start = taught(tmp_path / "start", lesson["tea"], lite_cache)
    for label in ("ship", "rain"):
        update(start, lesson[label], tmp_path / label, cache=lite_cache)
    for into, names in (("one", ("ship", "rain")), ("other", ("rain", "ship"))):
        merge([tmp_path / name for name in names], tmp_path / into, start, cache=lite_cache)
    one, other = (remodal.load(tmp_path / into, cache=lite_cache) for into in ("one", "other"))
    assert one.lineage == other.lineage
    question = [remodal.Text("tea at sea in the rain")]
    ((first, *_),), ((second, *_),) = one.predict(question), other.predict(question)
    assert (first.label, first.probability) == (second.label, pytest.approx(second.probability, abs=1e-3))


def test_a_merged_model_learns_on(lesson: dict[str, Path], lite_cache: Path, tmp_path: Path) -> None:
    start = taught(tmp_path / "start", lesson["tea"], lite_cache)
    for label in ("ship", "rain"):
        update(start, lesson[label], tmp_path / label, cache=lite_cache)
    merge([tmp_path / "ship", tmp_path / "rain"], tmp_path / "all", start, cache=lite_cache)
    assert update(tmp_path / "all", lesson["chess"], cache=lite_cache).after["text"].agnostic == 1.0


def test_models_of_several_modalities_need_no_common_beginning(
    saved: Path, lesson: dict[str, Path], lite_cache: Path, tmp_path: Path
) -> None:
    """``saved`` knows pictures, sounds and sentences, by a method whose statistics have no beginning."""
    words = taught(tmp_path / "words", lesson["chess"], lite_cache, "nearest-mean")
    done = merge([saved, words], tmp_path / "all", cache=lite_cache)
    assert Column("text", "chess") in done.columns
    assert {column.modality for column in done.columns} == {"image", "audio", "text"}


def test_what_cannot_be_merged_is_said(saved: Path, lesson: dict[str, Path], lite_cache: Path, tmp_path: Path) -> None:
    tea, ship = (taught(tmp_path / label, lesson[label], lite_cache) for label in ("tea", "ship"))
    into = tmp_path / "into"

    def refused(models: list[Path], said: str, base: Path | None = None) -> None:
        with pytest.raises(RemodalError, match=said):
            merge(models, into, base, cache=lite_cache)
        assert not into.exists()

    refused([tea], "found 1 model to merge; valid: two or more")
    refused([tea, ship], "tea and .*ship: text was begun apart; valid: models that learned on from one")
    refused([tea, tea], "text was begun in one model, whose items would count twice; valid: that model, as the base")
    refused([tea, ship], "the model that both shall have begun from has learned something that they haven't", ship)
    refused([tea, saved], "found models of the method remodal and nearest-mean; valid: of one")
    trained = taught(tmp_path / "trained", lesson["tea"], lite_cache, "zero-shot")
    refused([trained, trained], "what zero-shot learns doesn't add up; valid: models of fecam, ")
    with pytest.raises(RemodalError, match="tea: holds a model already; choose another folder"):
        merge([tea, ship], tea, cache=lite_cache)
