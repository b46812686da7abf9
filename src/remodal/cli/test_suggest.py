"""``remodal suggest``: what to label next, and a sheet that can be learned from once it is filled in."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import pytest
from PIL import Image

from remodal.cli.conftest import Cli


@pytest.fixture
def photos(folder: Path, tmp_path: Path) -> Path:
    """Green pictures in a folder below one of red ones that were learned."""
    root = tmp_path / "photos"
    (root / "green").mkdir(parents=True)
    for number in range(6):
        Image.new("RGB", (32, 32), (9 * number, 200, 9 * number)).save(root / "green" / f"={number}.png")
    shutil.copy(folder / "image/warm/0.png", root / "red.png")
    return root


def test_a_sheet_is_written_filled_in_and_learned(cli: Cli, saved: Path, photos: Path) -> None:
    done = cli("suggest", saved, photos, "--n", 4, "--out", photos / "next.csv")
    assert done.exit_code == 0
    assert [line.split(".")[0] for line in done.stdout.splitlines()] == ["1", "2", "3", "4"]
    assert "left out: 1 that the model knows already" in done.stderr
    rows = list(csv.DictReader((photos / "next.csv").open(encoding="utf-8")))
    assert len(rows) == 4
    assert all(row["path"].startswith("green/=") and row["modality"] == "image" and not row["label"] for row in rows)
    for row in rows[:3]:
        row["label"] = "grass"
    with (photos / "next.csv").open("w", encoding="utf-8", newline="") as file:
        sheet = csv.DictWriter(file, list(rows[0]))
        sheet.writeheader()
        sheet.writerows(rows)
    learned = cli("update", saved, "--data", photos / "next.csv")
    assert learned.exit_code == 0
    assert "new: image: grass" in learned.stdout
    assert f"skipped: {rows[3]['path']}: found a blank label" in learned.stdout
    again = cli("suggest", saved, photos, "--out", photos / "next.json")
    left = json.loads((photos / "next.json").read_text(encoding="utf-8"))["suggested"]
    assert {one["path"] for one in left} & {row["path"] for row in rows} == {rows[3]["path"]}
    assert len(left) == 3
    assert "left out: 4 that the model knows already" in again.stderr


def test_what_cannot_be_done_is_said_in_one_line(cli: Cli, saved: Path, photos: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for arguments, said in (
        ((tmp_path / "absent",), "absent: found no such folder; valid: a folder"),
        ((tmp_path / "empty",), "empty: found no file named as media are; valid: "),
        ((photos, "--out", "next.txt"), "found 'next.txt'; valid: a name that ends with .csv or .json"),
        ((photos, "--out", tmp_path / "empty/next.csv"), "or in a folder above it"),
        ((photos, "--modality", "imagee"), "did you mean 'image'?"),
    ):
        failed = cli("suggest", saved, *arguments)
        assert failed.exit_code == 2
        assert said in " ".join(failed.stderr.split())
        assert "Traceback" not in failed.stderr


def test_a_file_that_cannot_be_read_is_skipped_and_told_of(cli: Cli, saved: Path, photos: Path) -> None:
    (photos / "cut.png").write_bytes((photos / "green/=0.png").read_bytes()[:60])
    done = cli("suggest", saved, photos)
    assert done.exit_code == 1
    assert len(done.stdout.splitlines()) == 6
    assert f"skipped: {photos / 'cut.png'}: " in done.stderr
