"""On the command line, a long sound is asked about window by window, and searched for its moments."""

from __future__ import annotations

import csv
import json
from io import StringIO
from pathlib import Path

import pytest
from PIL import Image

from remodal.cli.conftest import Cli


def test_a_timeline_says_what_is_in_a_sound_when(cli: Cli, saved: Path, walk: Path) -> None:
    done = cli("predict", saved, walk / "walk.flac", walk / "short.wav", "--windows", "--top", 1, "--csv")
    assert done.exit_code == 0
    *long, short = csv.DictReader(StringIO(done.stdout))
    assert len(long) == 35
    assert [row["label"] for row in long if 40 <= float(row["start"]) <= 45] == ["cold"] * 3
    assert {row["label"] for row in long if float(row["end"]) <= 40 or float(row["start"]) >= 50} == {"warm"}
    assert (short["start"], short["end"], short["label"]) == ("", "", "warm")


def test_moments_are_read_as_players_show_them_and_in_seconds_in_json(cli: Cli, saved: Path, walk: Path) -> None:
    done = cli("predict", saved, walk / "walk.flac", "--windows", "--top", 1)
    assert f"{walk / 'walk.flac'}  0:42.5-0:47.5: audio" in done.stdout
    first, *_, short = map(json.loads, cli("predict", saved, walk, "--windows", "--json").stdout.splitlines()[::-1])
    assert (first["start"], first["end"]) == (85.0, 90.0)
    assert (short["start"], short["end"]) == (None, None)
    assert "start" not in json.loads(cli("predict", saved, walk / "short.wav", "--json").stdout)


def test_a_timeline_is_drawn(cli: Cli, saved: Path, walk: Path, tmp_path: Path) -> None:
    done = cli("predict", saved, walk / "walk.flac", "--windows", "--top", 1, "--picture", "walk.png")
    assert done.exit_code == 0
    picture = Image.open(tmp_path / "walk.png").convert("RGB")
    columns = [picture.getpixel((x, y)) for x in range(0, picture.width, 4) for y in range(0, picture.height, 4)]
    assert any(green > red + 60 and green > blue for red, green, blue in columns)  # the colour of sounds


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--picture", "x.png"], "found --picture without --windows; valid: both"),
        (["--windows", "--picture", "x.gif"], "x.gif: found the ending '.gif'; valid: .pdf, .png, .svg"),
    ],
)
def test_a_picture_is_asked_for_rightly(cli: Cli, saved: Path, walk: Path, arguments: list[str], said: str) -> None:
    failed = cli("predict", saved, walk / "walk.flac", *arguments)
    assert (failed.exit_code, failed.stderr) == (2, f"remodal: {said}\n")


def test_a_file_that_is_absent_gets_its_line(cli: Cli, saved: Path) -> None:
    failed = cli("predict", saved, "absent.mp3", "--windows", "--csv")
    assert failed.exit_code == 1
    (row,) = csv.DictReader(StringIO(failed.stdout))
    assert row["problem"].startswith("can't be read (No such file")


def test_a_search_names_the_moment(cli: Cli, saved: Path, walk: Path) -> None:
    indexed = cli("index", saved, walk, "--into", "walk.index")
    assert "walk.index: 2 files, 1 of them cut in 35 windows" in indexed.stdout
    found = cli("search", "walk.index", "cold", "--top", 1)
    assert "walk.flac  0:4" in found.stdout
    hits = [json.loads(line) for line in cli("search", "walk.index", "cold", "--windows", "--json").stdout.splitlines()]
    assert len({(hit["path"], hit["start"]) for hit in hits}) == 10
    assert all(hit["end"] - hit["start"] == 5 for hit in hits)
