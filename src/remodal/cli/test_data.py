"""``remodal data``: prepare, show, verify, info."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from remodal.cli.conftest import Cli
from remodal.streams.datasets.conftest import write_esc50, write_nyuv2, write_ucf101, write_vggsound


def test_a_sound_folder_is_verified(cli: Cli, own_data: Path) -> None:
    done = cli("data", "verify", own_data)
    assert done.exit_code == 0
    assert "as they should be" in done.stdout


def test_each_broken_item_is_a_line_and_the_status_1(cli: Cli, broken_data: Path) -> None:
    (broken_data / "image" / "blue" / "notes.gif").write_bytes(b"GIF89a")
    done = cli("data", "verify", broken_data)
    assert done.exit_code == 1
    lines = done.stdout.splitlines()
    for path in ("image/red/cut.png", "text/tea/latin1.txt", "image/blue/notes.gif"):
        assert any(line.startswith(f"{path}: ") for line in lines)
    assert lines[-1].endswith("3 problems")


def test_a_file_on_both_sides_of_the_split_is_a_problem(cli: Cli, own_data: Path) -> None:
    for file in (own_data / "text/tea").iterdir():
        file.write_text("one and the same")
    done = cli("data", "verify", own_data)
    assert done.exit_code == 1
    assert done.stdout.count("is learned from too, as text/tea/") == 2
    assert "2 problems" in done.stdout
    run = cli("run", "--stream", own_data, "--method", "nearest-mean", "--threads", 1, "--out", "x")
    assert "held out and learned from: 2 items" in run.stderr
    assert re.search(r"2 of them are training items too, byte for byte: text/tea/\d.txt, text/tea/\d.txt", run.stdout)
    assert "2 held-out items are learned from too" in Path("x/report.html").read_text()


def test_depth_without_a_unit_can_be_given_one(cli: Cli, tmp_path: Path) -> None:
    for label, metres in (("near", 1.5), ("far", 4.5)):
        folder = tmp_path / "own" / "depth" / label
        folder.mkdir(parents=True)
        for number in range(2):
            Image.fromarray(np.full((4, 4), metres + number, np.float32)).save(folder / f"{number}.tiff")
    assert cli("data", "verify", tmp_path / "own").exit_code == 1
    assert cli("data", "verify", tmp_path / "own", "--depth-unit", "m").exit_code == 0
    refused = cli("data", "verify", tmp_path / "own", "--depth-unit", "ft")
    assert "valid: mm, cm, m or sunrgbd, or null" in refused.stderr


def test_counts(cli: Cli, own_data: Path) -> None:
    done = cli("data", "info", own_data)
    assert done.exit_code == 0
    (image,) = [line.split() for line in done.stdout.splitlines() if line.startswith(" image")]
    assert image[:4] == ["image", "2", "12", "4"]
    assert "text: licences: not stated (16)" in done.stdout


def test_downloaded_data_sets_become_a_stream(cli: Cli, tmp_path: Path) -> None:
    write_esc50(tmp_path / "data" / "ESC-50-master")
    write_ucf101(tmp_path / "data")
    done = cli("data", "prepare", "esc50", "ucf101", "--root", "data")
    assert done.exit_code == 0
    sounds, clips, written = done.stdout.splitlines()
    assert sounds.startswith("esc50: audio, 2 classes, 8 train, 2 test; published: 50 classes, 1,600 train, 400 test")
    assert clips.startswith("ucf101: video, 3 classes, 6 train, 3 test; published: 101 classes, ")
    assert written.endswith("manifest.csv: 19 items; next: remodal run --stream data")
    assert "audio" in cli("data", "info", "data").stdout


def test_a_setting_says_what_makes_a_task(cli: Cli, tmp_path: Path) -> None:
    write_esc50(tmp_path / "ESC-50-master")
    write_ucf101(tmp_path)
    write_vggsound(tmp_path / "vggsound", [("aaaaaaaaaaa", "hail", "train"), ("bbbbbbbbbbb", "hail", "test")])
    write_nyuv2(tmp_path / "nyuv2")
    done = cli("data", "prepare", "cmcl", "--root", ".")
    assert "\n4 tasks: each data set is a task; of vggsound the first 10,000 and 2,000 clips" in done.stdout


def test_a_data_set_without_a_file_is_the_status_1(cli: Cli, tmp_path: Path) -> None:
    write_ucf101(tmp_path)
    shutil.rmtree(tmp_path / "UCF-101" / "YoYo")
    for clip in (tmp_path / "UCF-101").glob("*/*.avi"):
        clip.unlink()
    done = cli("data", "prepare", "ucf101", "--root", tmp_path)
    assert done.exit_code == 1
    assert "missing: UCF-101/ApplyEyeMakeup/v_ApplyEyeMakeup_g08_c01.avi, " in done.stdout
    assert done.stdout.splitlines()[-1].endswith("no manifest is written; valid: files of each data set")


def test_items_that_come_as_pictures_of_others_are_counted_with_the_files_of_these(cli: Cli) -> None:
    done = cli("data", "info", "everyday-close")
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith("everyday-close: 3,140 items in 12 tasks")


def test_the_embedded_stream_says_what_it_was_made_from(cli: Cli) -> None:
    done = cli("data", "info", "everyday")
    assert "video: made from pybullet" in done.stdout
    assert "Zlib" in done.stdout


def test_the_sheet_shows_each_class_and_is_always_the_same(cli: Cli, own_data: Path) -> None:
    assert cli("data", "show", own_data, "--out", "a.png").stdout.strip() == "a.png"
    assert cli("data", "show", own_data, "--out", "b.png").exit_code == 0
    assert Path("a.png").read_bytes() == Path("b.png").read_bytes()
    with Image.open("a.png") as sheet:
        colours = {colour for _, colour in sheet.convert("RGB").getcolors(1 << 24) or []}
    assert {(220, 20, 20), (20, 20, 220)} <= colours


def test_a_class_of_which_nothing_decodes_is_blank(cli: Cli, own_data: Path) -> None:
    for path in (own_data / "image" / "red").iterdir():
        path.write_bytes(path.read_bytes()[:30])
    assert cli("data", "show", own_data).exit_code == 0
    with Image.open("own data.png") as sheet:
        colours = {colour for _, colour in sheet.convert("RGB").getcolors(1 << 24) or []}
    assert (220, 20, 20) not in colours
    assert (20, 20, 220) in colours


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("show", "everday"), "did you mean 'everyday'?"),
        (("show", "everyday", "--out", "sheet.bmpp"), "found suffix '.bmpp'; valid: .png"),
        (("verify", "everday"), "did you mean 'everyday'?"),
        (("info", "no/such/folder"), "the path or URL of a folder, or an address"),
        (("prepare", "ecs50", "--root", "."), "unknown dataset 'ecs50'; did you mean 'esc50'?"),
        (("prepare", "esc50", "--root", "."), "ESC-50-master/meta/esc50.csv (https://github.com/karolpiczak/ESC-50)"),
    ],
)
def test_a_mistake_is_one_line_and_exit_status_2(cli: Cli, arguments: tuple[str, ...], says: str) -> None:
    failed = cli("data", *arguments)
    assert (failed.exit_code, failed.stderr.count("\n")) == (2, 1)
    assert says in failed.stderr


@pytest.mark.parametrize("modality", ["image", "video", "audio", "depth", "text"])
def test_every_modality_of_the_embedded_stream_can_be_drawn(modality: str) -> None:
    from remodal.cli.sheet import WIDTH, draw_sheet
    from remodal.streams import Stream, stream

    everyday = stream("everyday", order="sequential")
    first = next(task for task in everyday if task.modality == modality)
    sheet = draw_sheet(Stream("one task", "sequential", 0, (first,), ()))
    assert sheet.width == WIDTH
    assert len(sheet.getcolors(1 << 24) or []) > 8
