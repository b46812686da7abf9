"""Tables of Hugging Face's ``datasets``: the same items, whichever way they are kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from remodal.errors import BadItem, RemodalError
from remodal.streams.sources import Address, sources
from remodal.streams.sources.conftest import picture

datasets = pytest.importorskip("datasets")
NAMES = ["grey_heron", "lapwing"]
ADDRESS = "hf:{}?image=picture&label=species"


def table(labels: list[int], start: int = 0) -> Any:
    """Pictures with their species."""
    features = datasets.Features({"picture": datasets.Image(), "species": datasets.ClassLabel(names=NAMES)})
    rows = [
        {"picture": {"bytes": picture((start + at, 0, 0)), "path": None}, "species": label}
        for at, label in enumerate(labels)
    ]
    return datasets.Dataset.from_list(rows, features=features)


def listed(text: str) -> tuple[list[tuple[str, str, bytes]], dict[str, str]]:
    """Label, split and bytes of each item, and what was set aside."""
    address = Address.parsed(text)
    items, quarantined = sources.get(address.kind)(address, None, 0)
    return [(item.label, item.split, item.read()) for item in items], dict(quarantined)


EXPECTED = [
    ("grey heron", "train", picture((0, 0, 0))),
    ("lapwing", "train", picture((1, 0, 0))),
    ("grey heron", "test", picture((9, 0, 0))),
    ("lapwing", "test", picture((10, 0, 0))),
]


def test_a_saved_data_set_keeps_its_splits_and_its_classes_names(tmp_path: Path) -> None:
    datasets.DatasetDict(train=table([0, 1]), test=table([0, 1], start=9)).save_to_disk(tmp_path / "birds")
    assert listed(ADDRESS.format(tmp_path / "birds")) == (EXPECTED, {})


def test_a_folder_of_parquet_files_is_read_as_the_hub_reads_it(tmp_path: Path) -> None:
    table([0, 1]).to_parquet(tmp_path / "data" / "train-00000-of-00001.parquet")
    table([0, 1], start=9).to_parquet(tmp_path / "data" / "test-00000-of-00001.parquet")
    assert listed(ADDRESS.format(tmp_path)) == (EXPECTED, {})


def test_parquet_files_of_both_sides(tmp_path: Path) -> None:
    table([0]).to_parquet(tmp_path / "a-0.parquet")
    table([1], start=1).to_parquet(tmp_path / "a-1.parquet")
    table([0, 1], start=9).to_parquet(tmp_path / "b.parquet")
    address = f"parquet:{tmp_path}/a-*.parquet?test={tmp_path}/b.parquet&image=picture&label=species"
    assert listed(address) == (EXPECTED, {})


def test_bytes_and_words_need_no_special_columns(tmp_path: Path) -> None:
    rows = [{"file": picture((0, 0, 0)), "caption": "it wades", "what": "heron"}]
    datasets.Dataset.from_list(rows).to_parquet(tmp_path / "a.parquet")
    found, _ = listed(f"parquet:{tmp_path}/a.parquet?image=file&text=caption&label=what")
    assert [(label, data) for label, _, data in found] == [("heron", picture((0, 0, 0))), ("heron", b"it wades")]


def test_a_split_may_be_stated(tmp_path: Path) -> None:
    splits = {"learn": table([0, 1]), "dev": table([0, 1], start=9)}
    datasets.DatasetDict(splits).save_to_disk(tmp_path / "birds")
    with pytest.raises(RemodalError, match="found the splits learn, dev; valid: one called train, or train=NAME"):
        listed(ADDRESS.format(tmp_path / "birds"))
    assert listed(ADDRESS.format(tmp_path / "birds") + "&train=learn&test=dev") == (EXPECTED, {})
    with pytest.raises(RemodalError, match="unknown split 'lern'; did you mean 'learn'"):
        listed(ADDRESS.format(tmp_path / "birds") + "&train=lern")


def test_rows_without_a_label_are_set_aside_and_rows_without_a_medium_are_none(tmp_path: Path) -> None:
    rows = [
        {"file": picture((0, 0, 0)), "what": "heron"},
        {"file": None, "what": "heron"},
        {"file": b"", "what": None},
    ]
    datasets.Dataset.from_list(rows).save_to_disk(tmp_path / "a")
    assert listed(f"hf:{tmp_path}/a?image=file&label=what") == (
        [("heron", "train", picture((0, 0, 0)))],
        {"train/2": "has no label"},
    )


def test_a_label_left_out_as_minus_one_is_no_class(tmp_path: Path) -> None:
    table([0, -1]).save_to_disk(tmp_path / "a")
    found, set_aside = listed(ADDRESS.format(tmp_path / "a"))
    assert ([label for label, _, _ in found], set_aside) == (["grey heron"], {"train/1": "has no label"})


def test_a_path_in_place_of_bytes_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "secret.png").write_bytes(picture((1, 2, 3)))
    row = {"picture": {"bytes": None, "path": str(tmp_path / "secret.png")}, "species": "heron"}
    parquet.write_table(pa.Table.from_pylist([row]), tmp_path / "a.parquet")
    with pytest.raises(BadItem, match="train/0: found the path of a file; valid: a file's bytes in the row"):
        listed(f"parquet:{tmp_path}/a.parquet?image=picture&label=species")


def test_a_column_of_something_else_is_said(tmp_path: Path) -> None:
    datasets.Dataset.from_list([{"n": 3, "what": "heron", "many": ["a", "b"]}]).save_to_disk(tmp_path / "a")
    with pytest.raises(BadItem, match="train/0: found int; valid: bytes of a file, or a sentence"):
        listed(f"hf:{tmp_path}/a?image=n&label=what")
    with pytest.raises(RemodalError, match="column 'many': found a list as label; valid: words or whole numbers"):
        listed(f"hf:{tmp_path}/a?image=n&label=many")
    with pytest.raises(RemodalError, match="unknown column 'picture'; valid: many, n, what"):
        listed(f"hf:{tmp_path}/a?image=picture&label=what")


def test_what_is_not_there_is_said_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(RemodalError, match=r"nowhere.parquet: can't be read \(Unable to find"):
        listed(f"parquet:{tmp_path}/nowhere.parquet?image=a&label=b")


def test_nothing_is_sent_anywhere_to_count_what_is_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[str] = []
    monkeypatch.setattr("datasets.load.get_session", lambda: sent.append("a request"))
    monkeypatch.setattr("datasets.config.HF_UPDATE_DOWNLOAD_COUNTS", True)
    table([0, 1]).to_parquet(tmp_path / "a.parquet")
    datasets.load_dataset("parquet", data_files=str(tmp_path / "a.parquet"))
    assert sent == ["a request"]  # by itself the library does
    listed(f"parquet:{tmp_path}/a.parquet?image=picture&label=species")
    assert sent == ["a request"]
