"""What arrives in a folder is learned as it arrives: each class from its first item on, each content once."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
from PIL import Image

import remodal
from remodal.errors import RemodalError
from remodal.saved import changing, roll_back, versions
from remodal.saved.held_out import PER_CLASS
from remodal.streams.base import Column
from remodal.watching import LOG, Entry, watch
from remodal.watching.conftest import Once
from remodal.watching.looking import Looker

Arrive = Callable[..., Path]


def paths(items: object) -> list[str]:
    return [one.path for one in items]  # type: ignore[attr-defined]


def test_a_new_model_knows_a_class_from_its_first_item_on(
    once: Once, arrive: Arrive, lite_cache: Path, tmp_path: Path
) -> None:
    arrive("text/warm/0.txt")
    (entry,) = once(tmp_path / "model", method="nearest-mean")
    assert (entry.version, paths(entry.learned), entry.new) == (1, ["text/warm/0.txt"], (Column("text", "warm"),))
    arrive("image/cold/0.png")
    (entry,) = once(tmp_path / "model")
    assert (entry.version, entry.new) == (2, (Column("image", "cold"),))
    ((answer,),) = remodal.load(tmp_path / "model", cache=lite_cache).predict([remodal.Text("a cup of hot tea")])
    assert (answer.modality, answer.label) == ("text", "warm")


def test_every_fourth_item_of_a_class_is_held_out_whatever_comes_at_once(
    once: Once, arrive: Arrive, lite_cache: Path, tmp_path: Path
) -> None:
    for number in range(3):
        arrive(f"text/warm/{number}.txt")
    (first,) = once(tmp_path / "model", method="nearest-mean")
    assert (len(first.learned), first.held_out, first.accuracy) == (3, (), {})
    arrive("text/warm/3.txt")
    (alone,) = once(tmp_path / "model")
    assert (alone.learned, paths(alone.held_out), alone.accuracy["text"].items) == ((), ["text/warm/3.txt"], 1)
    for number in range(4, 8):
        arrive(f"text/warm/{number}.txt")
    (more,) = once(tmp_path / "model")
    assert (len(more.learned), len(more.held_out), more.accuracy["text"].items) == (3, 1, 2)
    source = versions(tmp_path / "model")[-1].about.sources
    assert [(one.items, one.classes, one.origin) for one in source] == [(6, ("warm",), "traps, as it came")]


def test_a_class_that_has_its_held_out_items_is_learned_from_all_others(
    once: Once, traps: Path, tmp_path: Path
) -> None:
    (traps / "text/tea").mkdir(parents=True)
    for number in range(4 * PER_CLASS + 8):
        (traps / f"text/tea/{number}.txt").write_text(f"a cup of hot tea, the {number}th of today")
    (entry,) = once(tmp_path / "model", method="nearest-mean")
    assert (len(entry.held_out), len(entry.learned)) == (PER_CLASS, 3 * PER_CLASS + 8)


def test_more_of_a_class_that_the_model_knew(once: Once, arrive: Arrive, saved: Path) -> None:
    arrive("text/warm/0.txt")
    (entry,) = once(saved)
    assert (entry.version, len(entry.learned), entry.new) == (2, 1, ())


def test_nothing_is_learned_twice_whatever_it_is_called(once: Once, arrive: Arrive, saved: Path, traps: Path) -> None:
    for number in range(4):
        arrive(f"text/warm/{number}.txt")
    (entry,) = once(saved)
    assert paths(entry.held_out) == ["text/warm/3.txt"]
    assert once(saved) == []
    (traps / "text/warm/0.txt").rename(traps / "text/warm/renamed.txt")
    arrive("text/warm/3.txt", as_="text/held/out.txt")  # what is held out stays so
    (again,) = once(saved)
    assert (again.version, again.learned, again.held_out) == (None, (), ())
    assert {one.path: one.reason for one in again.set_aside} == {
        "text/warm/renamed.txt": "its content came before, as text/warm/0.txt",
        "text/held/out.txt": "its content came before, as text/warm/3.txt",
    }
    assert once(saved) == []  # it was said once
    assert len(versions(saved)) == 2


def test_of_copies_that_come_together_one_is_learned(once: Once, arrive: Arrive, saved: Path) -> None:
    arrive("text/warm/0.txt")
    arrive("text/warm/0.txt", as_="text/warm/copy.txt")
    (entry,) = once(saved)
    assert (len(entry.learned), len(entry.set_aside)) == (1, 1)


def test_what_cannot_be_used_is_said_once_and_looked_at_again_when_it_changes(
    once: Once, arrive: Arrive, saved: Path, traps: Path, folder: Path
) -> None:
    broken = arrive("image/warm/0.png")
    broken.write_bytes(b"\x89PNG\r\n\x1a\nnothing more")
    (traps / "image/warm/out.png").symlink_to(folder / "image/warm/1.png")
    (traps / "image/warm/notes.docx").touch()
    (traps / "image/loose.png").touch()
    (traps / "image/warm/deeper").mkdir()
    (traps / "smell/rose").mkdir(parents=True)
    (traps / "image/empty").mkdir()  # something may be about to come
    os.mkfifo(traps / "image/warm/pipe.png")
    (entry,) = once(saved)
    reasons = {one.path: one.reason for one in entry.set_aside}
    assert entry.version is None
    assert "can't be decoded" in reasons.pop("image/warm/0.png")
    assert reasons.pop("smell").startswith("unknown modality 'smell'")
    assert {path: reason.partition(";")[0] for path, reason in reasons.items()} == {
        "image/warm/out.png": "found a link that leaves the folder",
        "image/warm/notes.docx": "found suffix '.docx'",
        "image/loose.png": "found a file in no class folder",
        "image/warm/deeper": "found a folder inside a class folder",
        "image/warm/pipe.png": "isn't a file",
    }
    assert once(saved) == []
    shutil.copy(folder / "image/warm/0.png", broken)
    (mended,) = once(saved)
    assert paths(mended.learned) == ["image/warm/0.png"]


def test_a_file_is_whole_when_two_looks_find_it_the_same(traps: Path) -> None:
    looker, growing = Looker(traps, lambda path, sign: False), traps / "text/tea/1.txt"
    growing.parent.mkdir(parents=True)
    growing.write_text("a cup")
    assert looker.look() == {}
    growing.write_text("a cup of tea")
    assert (looker.look(), looker.unsettled) == ({}, True)
    assert (list(looker.look()), looker.unsettled) == (["text/tea/1.txt"], False)
    growing.unlink()
    assert looker.look() == {}


def test_a_new_modality_and_depth_in_the_unit_that_was_stated(
    once: Once, traps: Path, saved: Path, metres: Path, tmp_path: Path
) -> None:
    shutil.copytree(metres / "depth/near", traps / "depth/near")
    (refused,) = once(saved)
    assert refused.version is None
    assert all("unit" in one.reason for one in refused.set_aside)
    for file in traps.rglob("*.tiff"):
        file.touch()
    (learned,) = once(saved, depth_unit="m")
    assert learned.new == (Column("depth", "near"),)
    shutil.copytree(metres / "depth/far", traps / "depth/far")
    (more,) = once(saved)  # the model remembers the unit
    assert more.new == (Column("depth", "far"),)


def test_what_was_gone_back_from_is_learned_again_if_it_is_still_there(
    once: Once, arrive: Arrive, saved: Path, traps: Path
) -> None:
    arrive("text/warm/0.txt")
    arrive("text/cold/0.txt", as_="text/warm/wrong.txt")
    once(saved)
    with changing(saved):
        roll_back(saved)
    (traps / "text/warm/wrong.txt").unlink()
    (entry,) = once(saved)
    assert (entry.version, paths(entry.learned)) == (3, ["text/warm/0.txt"])


def test_versions_that_watching_made_are_forgotten_and_no_others(once: Once, arrive: Arrive, saved: Path) -> None:
    for number in range(4):
        arrive(f"text/warm/{number}.txt")
        once(saved, keep=2)
    assert [one.version for one in versions(saved)] == [1, 4, 5]


def test_another_process_may_change_the_model_meanwhile(
    arrive: Arrive, saved: Path, traps: Path, lite_cache: Path, tmp_path: Path
) -> None:
    watching = watch(traps, saved, every=0.05, cache=lite_cache)
    arrive("text/warm/0.txt")
    assert next(watching).version == 2
    found: list[Entry] = []
    with changing(saved):
        waiting = Thread(target=lambda: found.append(next(watching)))
        waiting.start()
        arrive("text/warm/1.txt")
        waiting.join(0.5)
        assert waiting.is_alive()  # it waits for the other one
        other = remodal.load(saved, cache=lite_cache)
        other.save(saved)
    waiting.join(60)
    assert (found[0].version, paths(found[0].learned)) == (4, ["text/warm/1.txt"])
    assert remodal.load(saved, cache=lite_cache).learned_.arrived == found[0].id


def test_whoever_goes_back_beside_a_watcher_is_heard(
    arrive: Arrive, saved: Path, traps: Path, lite_cache: Path
) -> None:
    watching = watch(traps, saved, every=0.05, cache=lite_cache)
    arrive("text/warm/0.txt")
    next(watching)
    with changing(saved):
        roll_back(saved)
    arrive("text/warm/1.txt")
    again = [*next(watching).learned, *next(watching).learned]
    assert sorted(paths(again)) == ["text/warm/0.txt", "text/warm/1.txt"]


@pytest.mark.parametrize(
    ("make", "asked", "said"),
    [
        (lambda root: root.rmdir(), {}, "traps: no such folder"),
        (lambda root: (root / "manifest.csv").touch(), {}, "found a manifest.csv, which names all files beforehand"),
        (lambda root: None, {"method": "ridge"}, "found a model of the method nearest-mean; valid: that, not 'ridge'"),
        (lambda root: None, {"keep": 0}, "found 0 versions to keep; valid: 1 or more"),
        (lambda root: None, {"depth_unit": "ell"}, "unknown unit 'ell'"),
    ],
)
def test_a_mistake_is_one_line(
    once: Once, saved: Path, traps: Path, make: Callable[[Path], None], asked: dict[str, object], said: str
) -> None:
    make(traps)
    with pytest.raises(RemodalError, match=said):
        once(saved, **asked)
    assert not (saved / LOG).exists()


def test_a_folder_of_other_things_is_not_taken_for_a_new_model(once: Once, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos/one.jpg").touch()
    with pytest.raises(RemodalError, match="found no config.json in it"):
        once(tmp_path / "photos")


def test_items_of_a_year_leave_one_line_on_the_card(once: Once, traps: Path, saved: Path) -> None:
    (traps / "image/grass").mkdir(parents=True)
    for number in range(3):
        Image.fromarray(np.full((16, 16, 3), 40 + number, np.uint8)).save(traps / f"image/grass/{number}.png")
        once(saved)
    (*_, last) = versions(saved)[-1].about.sources
    assert (last.items, last.origin) == (3, "traps, as it came")
