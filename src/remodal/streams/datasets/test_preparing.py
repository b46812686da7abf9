"""From folders to a manifest: several data sets, what is missing, what is there already."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from remodal.errors import RemodalError
from remodal.streams import stream
from remodal.streams.datasets import combined, datasets, prepare
from remodal.streams.datasets.conftest import (
    put,
    write_esc50,
    write_imagenet,
    write_nyuv2,
    write_sunrgbd,
    write_ucf101,
    write_vggsound,
)


def letters(number: int) -> str:
    return chr(97 + number // 26) + chr(97 + number % 26)


@pytest.fixture
def paper(root: Path) -> Path:
    """Look-alikes of the four data sets of COMM, with all their classes."""
    write_imagenet(root / "imagenet-100", flat=False)
    write_ucf101(root, [f"Act{letters(n).title()}" for n in range(101)])
    write_esc50(root / "ESC-50-master", [f"sound_{letters(n)}" for n in range(50)])
    write_sunrgbd(root)
    return root


def test_two_data_sets_make_one_stream(root: Path) -> None:
    write_esc50(root / "ESC-50-master")
    write_ucf101(root)
    prepared = prepare(["ucf101", "esc50"], root)
    assert (prepared.manifest, prepared.items, prepared.tasks) == (root / "manifest.csv", 19, 0)
    opened = stream(root, order="sequential")
    assert {task.modality: len(task.classes) for task in opened} == {"video": 3, "audio": 2}
    assert opened.quarantined == ()


def test_the_setting_of_comm(paper: Path) -> None:
    prepared = prepare(["comm-paper"], paper)
    opened = stream(paper, order="random", seed=0)
    sizes: dict[str, list[int]] = {}
    for task in opened:
        sizes.setdefault(task.modality, []).append(len(task.classes))
    assert {name: sorted(one) for name, one in sizes.items()} == {
        "image": [20, 20, 20, 20, 20],
        "video": [20, 20, 20, 20, 21],
        "audio": [10, 10, 10, 10, 10],
        "depth": [3, 4, 4, 4, 4],
    }
    assert (prepared.tasks, len(opened), opened.quarantined) == (20, 20, ())
    # the tasks are the setting's, whatever the seed
    assert {frozenset(task.classes) for task in opened} == {frozenset(task.classes) for task in stream(paper, seed=1)}


def test_the_setting_of_cmcl(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(combined.FIRST_OF_VGGSOUND, "train", 3)
    write_ucf101(root)
    write_esc50(root / "ESC-50-master")
    write_nyuv2(root / "nyuv2")
    hail = [(f"{n:011}", "hail", "train" if n % 2 else "test") for n in range(5)]
    write_vggsound(root / "vggsound", [("shared-name", "sea waves", "train"), *hail, ("too-late-01", "hail", "train")])
    prepared = prepare(["cmcl"], root)
    opened = stream(root)
    assert {task.modality: len(task.train) for task in opened if task.modality != "audio"} == {"video": 6, "depth": 4}
    audio = {task.classes: len(task.train) for task in opened if task.modality == "audio"}
    # of the first three clips for learning one is of a class that ESC-50 has, and stays out
    assert {tuple(sorted(one)): count for one, count in audio.items()} == {("dog", "sea waves"): 8, ("hail",): 2}
    assert (prepared.tasks, opened.quarantined) == (4, ())


def test_prepared_twice_is_the_same_to_the_byte(paper: Path, tmp_path: Path) -> None:
    prepare(["comm-paper"], paper)
    first = (paper / "manifest.csv").read_bytes()
    stamp = (paper / "manifest.csv").stat().st_mtime_ns
    prepare(["comm-paper"], paper)
    assert (paper / "manifest.csv").stat().st_mtime_ns == stamp
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for folder in sorted(paper.iterdir(), reverse=True):  # another order on the disk
        if folder.is_dir():
            shutil.copytree(folder, elsewhere / folder.name)
    prepare(["comm-paper"], elsewhere)
    assert (elsewhere / "manifest.csv").read_bytes() == first


def test_a_manifest_that_says_something_else_is_left_alone(root: Path) -> None:
    write_esc50(root)
    mine = put(root / "manifest.csv", "path,modality,label\n")
    with pytest.raises(RemodalError, match="manifest.csv: found one that says something else; valid: none"):
        prepare(["esc50"], root)
    assert mine.read_text() == "path,modality,label\n"


def test_all_that_is_missing_is_named_with_where_it_comes_from(root: Path) -> None:
    write_ucf101(root)
    (root / "ucfTrainTestlist" / "testlist01.txt").unlink()
    with pytest.raises(RemodalError) as failed:
        prepare(["ucf101", "esc50"], root)
    assert str(failed.value) == (
        f"{root}: missing ucfTrainTestlist/testlist01.txt (https://www.crcv.ucf.edu/data/UCF101.php), "
        "ESC-50-master/meta/esc50.csv (https://github.com/karolpiczak/ESC-50), "
        "ESC-50-master/audio (https://github.com/karolpiczak/ESC-50)"
    )


def test_nothing_usable_leaves_no_manifest(root: Path) -> None:
    write_ucf101(root)
    write_esc50(root / "ESC-50-master")
    for clip in (root / "ESC-50-master" / "audio").iterdir():
        clip.unlink()
    prepared = prepare(["ucf101", "esc50"], root)
    assert prepared.manifest is None
    assert not (root / "manifest.csv").exists()
    assert [report.items for report in prepared.reports] == [{"train": 6, "test": 3}, {"train": 0, "test": 0}]


@pytest.mark.parametrize(
    ("names", "says"),
    [
        (["esc5"], "unknown dataset 'esc5'; did you mean 'esc50'? valid: cmcl, comm-paper, esc50, imagenet-100, "),
        (["comm-paper", "vggsound"], "found comm-paper vggsound; valid: comm-paper alone, which is a whole stream"),
        ([], "found no name of a dataset; valid: "),
    ],
)
def test_a_mistake_in_the_names(root: Path, names: list[str], says: str) -> None:
    with pytest.raises(RemodalError) as failed:
        prepare(names, root)
    assert says in str(failed.value)


def test_the_root_has_to_be_a_folder(root: Path) -> None:
    with pytest.raises(RemodalError, match="found no such folder; valid: a folder"):
        prepare(["esc50"], root / "nowhere")


def test_a_link_that_leaves_the_root_is_refused(root: Path, tmp_path: Path) -> None:
    write_esc50(tmp_path / "elsewhere")
    (root / "ESC-50-master").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(RemodalError, match="found a link that leaves the folder; valid: files below it"):
        prepare(["esc50"], root)


def test_a_list_leads_nowhere_else(root: Path) -> None:
    write_esc50(root / "ESC-50-master")
    put(root / "secret.wav")
    clips = root / "ESC-50-master" / "meta" / "esc50.csv"
    clips.write_text(clips.read_text() + "../../secret.wav,1,0,dog,True,7,A\n")
    (report,) = prepare(["esc50"], root).reports
    assert report.missing == ("audio/../../secret.wav",)


def test_a_list_that_is_too_long_is_not_read(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("remodal.streams.datasets.source.LONGEST_LIST", 10)
    with pytest.raises(RemodalError, match="esc50.csv: found .* bytes; valid: at most 10"):
        prepare(["esc50"], write_esc50(root))


def test_each_data_set_says_what_it_is() -> None:
    for name in datasets.names():
        dataset = datasets.get(name)
        assert all(part.origin.rpartition(" ")[2].startswith("https://") for part in dataset.parts)
        assert dataset.classes > 0
