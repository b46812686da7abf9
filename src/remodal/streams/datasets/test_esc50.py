"""ESC-50 as it is downloaded, look-alike and real."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import pytest

from remodal.errors import RemodalError
from remodal.streams import check, stream
from remodal.streams.datasets import prepare
from remodal.streams.datasets.conftest import write_esc50
from remodal.streams.outside import list_outside

FIELD = Path(__file__).parents[5] / "shared" / "data" / "field"
"""Its sounds are the ten classes of ESC-10, its names the same words in another order."""


def test_folds_labels_sources_and_licences(root: Path) -> None:
    write_esc50(root / "ESC-50-master")
    prepare(["esc50"], root)
    items = {item.id: item for item in list_outside(root, None).items}
    assert len(items) == 10
    tested = items["ESC-50-master/audio/5-1005-A-1.wav"]
    assert (tested.modality, tested.label, tested.split, tested.group) == ("audio", "sea waves", "test", "1005")
    assert {item.split for item in items.values() if not item.id.startswith("ESC-50-master/audio/5")} == {"train"}
    assert {item.label: item.licence for item in items.values()} == {"dog": "CC BY 3.0", "sea waves": "CC BY-NC 3.0"}


def test_the_root_may_be_the_data_set(root: Path) -> None:
    prepare(["esc50"], write_esc50(root))
    assert list_outside(root, None).items[0].id == "audio/1-1-A-0.wav"


def test_counts_that_differ_are_told(root: Path) -> None:
    write_esc50(root)
    (root / "audio" / "2-2-A-0.wav").unlink()
    (report,) = prepare(["esc50"], root).reports
    assert str(report) == (
        "esc50: audio, 2 classes, 7 train, 2 test; published: 50 classes, 1,600 train, 400 test; "
        "missing: audio/2-2-A-0.wav (https://github.com/karolpiczak/ESC-50)"
    )
    assert not report.whole


def test_all_of_it_is_as_published(root: Path) -> None:
    rows = [(f"{fold}-{number}-A-0.wav", fold, f"sound_{number % 50}") for fold in range(1, 6) for number in range(400)]
    (root / "audio").mkdir()
    (root / "meta").mkdir()
    for clip, *_ in rows:
        (root / "audio" / clip).touch()
    with (root / "meta" / "esc50.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("filename", "fold", "target", "category", "esc10", "src_file", "take"))
        writer.writerows((clip, fold, 0, label, False, clip, "A") for clip, fold, label in rows)
    (report,) = prepare(["esc50"], root).reports
    assert str(report) == "esc50: audio, 50 classes, 1,600 train, 400 test, as published"


def test_another_list_is_refused(root: Path) -> None:
    write_esc50(root)
    (root / "meta" / "esc50.csv").write_text("filename,target\n")
    with pytest.raises(RemodalError, match=r"esc50.csv: missing column fold, category, esc10, src_file; valid:"):
        prepare(["esc50"], root)


@pytest.mark.skipif(not FIELD.is_dir(), reason="no field recordings beside the checkout (../shared/data/field)")
def test_real_clips(root: Path) -> None:
    """Two clips of a class and a side, under their official names and in the official layout, are a stream."""
    lines = ["filename,fold,target,category,esc10,src_file,take"]
    with (FIELD / "manifest.csv").open(encoding="utf-8") as file:
        sounds = [row for row in csv.DictReader(file) if row["modality"] == "audio"]
    (root / "audio").mkdir()
    (root / "meta").mkdir()
    for row in sounds:
        clip, fold, label = FIELD / row["path"], 5 if row["split"] == "test" else 1, row["label"].replace(" ", "_")
        if sum(f",{fold},0,{label}," in line for line in lines) < 2:
            shutil.copyfile(clip, root / "audio" / clip.name)
            lines.append(f"{clip.name},{fold},0,{label},True,{row['group']},A")
    (root / "meta" / "esc50.csv").write_text("\n".join(lines))
    prepare(["esc50"], root)
    first, second = stream(root, classes_per_task=5)
    assert (len(first.classes), len(second.classes)) == (5, 5)
    items = [item for task in (first, second) for item in (*task.train, *task.test)]
    assert len(items) == 40
    assert [check(item) for item in items[::8]] == [None] * 5
