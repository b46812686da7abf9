"""VGGSound as it is gathered."""

from __future__ import annotations

from pathlib import Path

import pytest

from remodal.errors import RemodalError
from remodal.streams.datasets import prepare
from remodal.streams.datasets.conftest import put, write_vggsound
from remodal.streams.outside import list_outside

# ids may begin with a minus or hold underscores; a class may hold a comma
ROWS = (
    ("---g-f_I2yQ", "people marching", "train"),
    ("_a_b_c_d_e_", "Playing violin, fiddle", "train"),
    ("abcdefghijk", "people marching", "test"),
)


def test_a_clip_is_a_sound_of_its_video(root: Path) -> None:
    write_vggsound(root, ROWS)
    (report,) = prepare(["vggsound"], root).reports
    items = list_outside(root, None).items
    assert [(item.id, item.modality, item.label, item.split, item.group) for item in items] == [
        ("video/---g-f_I2yQ_000030.mp4", "audio", "people marching", "train", "---g-f_I2yQ"),
        ("video/_a_b_c_d_e__000030.mp4", "audio", "playing violin, fiddle", "train", "_a_b_c_d_e_"),
        ("video/abcdefghijk_000030.mp4", "audio", "people marching", "test", "abcdefghijk"),
    ]
    assert str(report) == "vggsound: audio, 2 classes, 2 train, 1 test; published: 309 classes, 2 train, 1 test"


def test_clips_that_are_gone_are_told_and_the_rest_is_used(root: Path) -> None:
    write_vggsound(root, [*ROWS, *((f"gone-{n:06}", "hail", "train") for n in range(5))])
    for n in range(5):
        (root / "video" / f"gone-{n:06}_000030.mp4").unlink()
    prepared = prepare(["vggsound"], root)
    assert prepared.items == 3
    assert "2 classes, 2 train, 1 test; published: 309 classes, 7 train, 1 test; " in str(prepared.reports[0])
    assert (
        "missing: video/gone-000000_000030.mp4, video/gone-000001_000030.mp4, video/gone-000002_000030.mp4 and 2 more "
        "(https://huggingface.co/datasets/Loie/VGGSound)"
    ) in str(prepared.reports[0])


def test_where_the_archives_unpack_and_the_sound_alone_first(root: Path) -> None:
    unpacked = "scratch/shared/beegfs/hchen/train_data/VGGSound_final"
    write_vggsound(root / "vggsound", ROWS, f"{unpacked}/video")
    put(root / "vggsound" / "audio" / "abcdefghijk_000030.flac")
    put(root / "vggsound" / "audio" / "abcdefghijk_000030.json")
    prepare(["vggsound"], root)
    first, _, last = (item.id for item in list_outside(root, None).items)
    assert first == f"vggsound/{unpacked}/video/---g-f_I2yQ_000030.mp4"
    assert last == "vggsound/audio/abcdefghijk_000030.flac"


def test_a_list_with_another_layout_is_refused(root: Path) -> None:
    write_vggsound(root, ROWS)
    put(root / "vggsound.csv", "id,start,class,split\n")
    with pytest.raises(RemodalError, match="vggsound.csv line 1: found 'id,start,class,split'; valid: id,second,class"):
        prepare(["vggsound"], root)
