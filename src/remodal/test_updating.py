"""A saved model learns on from a folder: new classes, more of known ones, new modalities; the old version stays."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import remodal
from remodal.errors import RemodalError
from remodal.saved import changing, roll_back, versions
from remodal.streams.base import Column
from remodal.updating import UNDIVIDED, update


@pytest.fixture
def lesson(tmp_path: Path) -> Path:
    """Green pictures, more sentences on tea, and a file that is none."""
    root = tmp_path / "lesson"
    for part in ("image/fresh_grass", "text/warm"):
        (root / part).mkdir(parents=True)
    for number in range(UNDIVIDED):
        pixels = np.full((32, 32, 3), 7 * number, np.uint8)
        pixels[..., 1] += 180
        Image.fromarray(pixels).save(root / f"image/fresh_grass/{number}.png")
    (root / "image/fresh_grass/broken.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing more")
    (root / "text/warm/new.txt").write_text("one more cup of hot tea")
    return root


def test_a_new_class_is_known_afterwards_and_the_old_ones_are_not_lost(
    saved: Path, lesson: Path, lite_cache: Path
) -> None:
    done = update(saved, lesson, cache=lite_cache)
    assert done.new == (Column("image", "fresh grass"),)
    assert done.more == (Column("text", "warm"),)
    assert done.before.keys() == done.after.keys() == {"image", "audio", "text"}
    assert all(done.after[name].agnostic == measured.agnostic == 1.0 for name, measured in done.before.items())
    ((green,), (red,)) = remodal.load(saved, cache=lite_cache).predict(
        [lesson / "image/fresh_grass/0.png", lesson / "image/fresh_grass/7.png"]
    )
    assert green.label == red.label == "fresh grass"


def test_a_file_that_cannot_be_used_is_set_aside(saved: Path, lesson: Path, lite_cache: Path) -> None:
    ((path, reason),) = update(saved, lesson, cache=lite_cache).set_aside
    assert path == "image/fresh_grass/broken.png"
    assert "can't be decoded" in reason


def test_the_old_version_stays_and_can_be_gone_back_to(saved: Path, lesson: Path, lite_cache: Path) -> None:
    before = remodal.load(saved, cache=lite_cache)
    assert update(saved, lesson, cache=lite_cache).version == 2
    assert [(one.version, one.parent) for one in versions(saved)] == [(1, None), (2, 1)]
    roll_back(saved)
    assert remodal.load(saved, cache=lite_cache).lineage == before.lineage


def test_another_folder_leaves_the_model_alone(saved: Path, lesson: Path, lite_cache: Path, tmp_path: Path) -> None:
    done = update(saved, lesson, tmp_path / "other", cache=lite_cache)
    assert (done.folder, done.version) == (tmp_path / "other", 1)
    assert len(versions(saved)) == 1
    with pytest.raises(RemodalError, match="holds a model already; choose another folder"):
        update(saved, lesson, tmp_path / "other", cache=lite_cache)


def test_what_is_held_out_of_a_new_class_is_measured_from_then_on(saved: Path, lesson: Path, lite_cache: Path) -> None:
    update(saved, lesson, cache=lite_cache)
    first, second = versions(saved)
    assert second.about.accuracy["image"].items > first.about.accuracy["image"].items


def test_a_few_files_are_all_learned_from(saved: Path, lesson: Path, lite_cache: Path) -> None:
    for number in range(3, UNDIVIDED):
        (lesson / f"image/fresh_grass/{number}.png").unlink()
    update(saved, lesson, cache=lite_cache)
    source = versions(saved)[1].about.sources[-2]
    assert (source.modality, source.classes, source.items, source.origin) == ("image", ("fresh grass",), 3, "lesson")


def test_a_new_modality_is_learned(saved: Path, lite_cache: Path, tmp_path: Path) -> None:
    for name, nearest in (("near", 500), ("far", 4000)):
        (tmp_path / "maps/depth" / name).mkdir(parents=True)
        for number in range(3):
            metres = np.linspace(nearest, nearest + 300 + number, 32 * 32).reshape(32, 32).astype(np.uint16)
            Image.fromarray(metres).save(tmp_path / f"maps/depth/{name}/{number}.png")
    done = update(saved, tmp_path / "maps", cache=lite_cache)
    assert done.new == (Column("depth", "far"), Column("depth", "near"))
    ((answer,),) = remodal.load(saved, cache=lite_cache).predict([tmp_path / "maps/depth/near/0.png"])
    assert (answer.modality, answer.label) == ("depth", "near")


def test_the_same_lessons_in_the_same_order_leave_the_same_lineage(
    saved: Path, saved_once: Path, lesson: Path, lite_cache: Path, tmp_path: Path
) -> None:
    other = Path(shutil.copytree(saved_once, tmp_path / "other"))
    update(saved, lesson, cache=lite_cache)
    update(other, lesson, cache=lite_cache)
    one, two = (remodal.load(folder, cache=lite_cache).lineage for folder in (saved, other))
    assert one == two
    before = remodal.load(saved_once, cache=lite_cache).lineage
    # image and audio share a tower, so what is learned of one can move the other's answers
    assert {name for name in one if one[name] != before[name]} == {"image", "video", "audio", "depth", "text"}


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda root: None, "no such folder; valid: a folder laid out as <modality>/<class>/<files>"),
        (lambda root: root.write_text("x"), "found a file; valid: a folder laid out as"),
        (lambda root: root.mkdir(), "found nothing to learn"),
        (lambda root: (root / "smell/rose").mkdir(parents=True), "found nothing to learn; 1 can't be used"),
    ],
)
def test_nothing_to_learn_is_said_and_changes_nothing(
    saved: Path, lite_cache: Path, tmp_path: Path, make: object, said: str
) -> None:
    make(tmp_path / "data")  # type: ignore[operator]
    with pytest.raises(RemodalError, match=said):
        update(saved, tmp_path / "data", cache=lite_cache)
    assert len(versions(saved)) == 1


def test_files_that_are_all_broken_change_nothing(saved: Path, lesson: Path, lite_cache: Path) -> None:
    shutil.rmtree(lesson / "text")
    for file in lesson.glob("image/*/[0-9].png"):
        file.unlink()
    with pytest.raises(RemodalError, match=r"nothing to learn; \d can.t be used: image/fresh_grass/broken.png"):
        update(saved, lesson, cache=lite_cache)
    assert len(versions(saved)) == 1
    with pytest.raises(RemodalError, match="nothing to learn"):
        update(saved, lesson, lesson.parent / "other", cache=lite_cache)
    assert not (lesson.parent / "other").exists()


def test_an_update_waits_for_no_other(saved: Path, lesson: Path, lite_cache: Path) -> None:
    from threading import Thread

    problems: list[str] = []

    def second() -> None:
        try:
            update(saved, lesson, cache=lite_cache)
        except RemodalError as error:
            problems.append(str(error))

    with changing(saved):
        thread = Thread(target=second)
        thread.start()
        thread.join()
    assert "another process is changing this model" in problems[0]
