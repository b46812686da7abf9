"""A stream, from its name or its folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from remodal.errors import RemodalError, UnknownName
from remodal.streams import ORDERS, Stream, list_streams, stream, verify
from remodal.streams.conftest import Write


def classes(made: Stream) -> list[tuple[str, ...]]:
    return [tuple(sorted(task.classes)) for task in made]


def texts(*labels: str) -> list[str]:
    return [f"text/{label}/{number}.txt" for label in labels for number in range(4)]


@pytest.mark.parametrize("order", ORDERS.names())
def test_everyday_in_each_order(order: str) -> None:
    made = stream("everyday", order=order, seed=1)
    assert (made.name, made.order, made.seed) == ("everyday", order, 1)
    assert made.quarantined == ()
    assert {task.modality for task in made} == {"image", "video", "audio", "depth", "text"}
    assert {len(task.classes) for task in made} == {3, 4}
    assert made == stream("everyday", order=order, seed=1)
    assert classes(made) != classes(stream("everyday", order=order, seed=2))


def test_a_folder_of_files(write: Write) -> None:
    made = stream(write(*texts("dog", "cat", "bird", "fish")), classes_per_task=2)
    assert made.name == "own data"
    assert [(len(task.classes), len(task.train), len(task.test)) for task in made] == [(2, 6, 2), (2, 6, 2)]
    assert made == stream(write(), classes_per_task=2)


def test_a_manifest_goes_before_the_layout(write: Write, manifest: Write) -> None:
    write(*texts("dog", "cat"))
    root = manifest("path,modality,label", "text/dog/0.txt,text,wolf", "text/dog/1.txt,text,wolf")
    assert classes(stream(root)) == [("wolf",)]


def test_a_class_that_cannot_be_learned_and_tested_is_set_aside(write: Write, manifest: Write) -> None:
    write(*texts("dog", "cat"), "text/owl/0.txt")
    made = stream(write())
    assert classes(made) == [("cat", "dog")]
    assert made.quarantined == (
        (
            "text/owl/0.txt",
            "found text class 'owl' with 1 train and 0 test items; valid: at least one of each",
        ),
    )
    rows = [f"{path},text,{path.split('/')[1]},{'test' if '0' in path else 'train'}" for path in texts("dog", "cat")]
    untested = [row.replace("test", "train") for row in rows if "cat" in row]
    made = stream(manifest("path,modality,label,split", *(row for row in rows if "dog" in row), *untested))
    assert classes(made) == [("dog",)]
    assert len(made.quarantined) == 4


def test_each_file_is_in_a_task_or_set_aside(write: Write) -> None:
    root = write(*texts("dog", "cat"), "text/owl/0.txt", "image/dog/a.png", "image/dog/b.png", "image/dog/c.bmpp")
    made = stream(root)
    taken = [item.id for task in made for item in (*task.train, *task.test)]
    found = sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())
    assert sorted(taken + [aside.path for aside in made.quarantined]) == found


def test_a_folder_without_a_usable_item_is_an_error(write: Write) -> None:
    with pytest.raises(RemodalError, match=r"own data: found nothing to learn; valid: <modality>/<class>/<files>"):
        stream(write())
    root = write("dog/a.png", "dog/b.png")
    with pytest.raises(RemodalError, match=r"1 can't be used: dog: unknown modality 'dog'.*valid: audio"):
        stream(root)


def test_an_unknown_name_gets_the_nearest_one() -> None:
    with pytest.raises(UnknownName) as caught:
        stream("evryday")
    assert str(caught.value) == (
        "unknown stream 'evryday'; did you mean 'everyday'? valid: everyday, everyday-close, the path or URL "
        "of a folder, or an address: classes:..., hf:..., parquet:..., webdataset:..."
    )
    assert list_streams() == ["everyday", "everyday-close"]


def test_a_file_is_not_a_stream(write: Write) -> None:
    with pytest.raises(RemodalError, match=r"a.txt: found a file; valid: a folder, or one of everyday"):
        stream(write("a.txt") / "a.txt")


def test_a_folder_called_like_an_embedded_stream_is_reached_by_its_path(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(write(*(f"everyday/{path}" for path in texts("dog", "cat"))))
    assert len(stream("everyday")) > 1
    assert len(stream(Path("everyday"))) == len(stream("./everyday")) == 1


@pytest.mark.parametrize(
    ("setting", "reason"),
    [
        ({"order": "sequentiel"}, "unknown order 'sequentiel'; did you mean 'sequential'"),
        ({"seed": -1}, "seed: found -1; valid: 0 or more"),
        ({"classes_per_task": 0}, "classes_per_task: found 0; valid: "),
        ({"depth_unit": "inch"}, "depth_unit: found 'inch'; valid: "),
    ],
)
def test_a_setting_that_is_not_valid_is_an_error(setting: dict[str, object], reason: str) -> None:
    with pytest.raises(RemodalError, match=reason):
        stream("everyday", **setting)  # type: ignore[arg-type]


def test_verify_reads_and_decodes_every_item(write: Write) -> None:
    root = write(*texts("dog", "cat"), "text/owl/0.txt")
    (root / "text/dog/1.txt").write_bytes(b"")
    (root / "text/cat/2.txt").write_bytes(b"caf\xe9")
    found = dict(verify(root))
    assert sorted(found) == ["text/cat/2.txt", "text/dog/1.txt", "text/owl/0.txt"]
    assert found["text/dog/1.txt"] == "found an empty file; valid: UTF-8 text"


def test_verify_everyday_finds_nothing_wrong() -> None:
    assert verify("everyday") == []
