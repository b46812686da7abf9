"""Streams inside the package: read lazily, checked by hash; and what the one that is shipped holds."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from hashlib import sha256
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from remodal.errors import BadItem, RemodalError
from remodal.streams.base import Item
from remodal.streams.embedded import HERE, altered_files, embedded_names, list_embedded

DIGESTS = {text: sha256(text.encode()).hexdigest() for text in ("a dog", "a cat", "a bird")}


@pytest.fixture
def shard(tmp_path: Path) -> Path:
    """A stream of three texts; the third one isn't what its hash says."""
    folder = tmp_path / "small"
    folder.mkdir()
    rows = [
        {
            "id": f"text/{text}",
            "label": text.removeprefix("a "),
            "split": "train",
            "group": "hand",
            "media": b"altered" if text == "a bird" else text.encode(),
            "format": "txt",
            "licence": "CC0-1.0",
            "attribution": "nobody",
            "hash": digest,
        }
        for text, digest in DIGESTS.items()
    ]
    pq.write_table(pa.Table.from_pylist(rows), folder / "text.parquet")
    return folder / "text.parquet"


def test_an_item_is_a_row(shard: Path) -> None:
    dog, cat, _ = list_embedded(shard.parent).items
    assert (dog.id, dog.modality, dog.label, dog.split, dog.group) == (
        "text/a dog",
        "text",
        "dog",
        "train",
        "hand",
    )
    assert dog.licence == "CC0-1.0"
    assert (cat.read(), dog.read()) == (b"a cat", b"a dog")


def test_listing_reads_no_media(shard: Path) -> None:
    items = list_embedded(shard.parent).items
    shard.unlink()
    with pytest.raises(BadItem, match=r"text/a dog: can't be read from text.parquet"):
        items[0].read()


def test_content_that_is_not_what_its_hash_says_is_a_bad_item(shard: Path) -> None:
    with pytest.raises(BadItem, match=r"text/a bird: found content with hash .*; valid: " + DIGESTS["a bird"]):
        list_embedded(shard.parent).items[2].read()


def test_altered_and_missing_files_are_found(shard: Path) -> None:
    described = shard.parent / "small.json"
    text = {"file": "text.parquet", "file_sha256": sha256(shard.read_bytes()).hexdigest()}
    described.write_text(json.dumps({"modalities": {"text": text}}))
    assert altered_files(shard.parent) == []
    image = {"file": "image.parquet", "file_sha256": "0"}
    described.write_text(json.dumps({"modalities": {"text": text | {"file_sha256": "1"}, "image": image}}))
    (changed, missing) = altered_files(shard.parent)
    assert changed == ("text.parquet", f"found file hash {text['file_sha256']}; valid: 1")
    assert missing == ("image.parquet", "found file hash none (no such file); valid: 0")


def test_a_broken_or_foreign_file_is_refused(shard: Path) -> None:
    shard.write_bytes(shard.read_bytes()[:-20])
    with pytest.raises(RemodalError, match=r"text.parquet: can't be read"):
        list_embedded(shard.parent)
    pq.write_table(pa.table({"id": ["a"], "label": ["dog"]}), shard)
    with pytest.raises(RemodalError, match=r"text.parquet: missing column split, group, licence.*; found: id, label"):
        list_embedded(shard.parent)
    shard.rename(shard.with_name("txt.parquet"))
    with pytest.raises(RemodalError, match=r"unknown modality 'txt'; did you mean 'text'"):
        list_embedded(shard.parent)
    shard.with_name("txt.parquet").unlink()
    with pytest.raises(RemodalError, match="found no item"):
        list_embedded(shard.parent)


@pytest.fixture(scope="module")
def everyday() -> tuple[Item, ...]:
    return list_embedded(HERE / "everyday").items


def test_everyday_is_the_one_that_is_shipped() -> None:
    assert embedded_names() == ["everyday"]
    assert altered_files(HERE / "everyday") == []
    assert sum(file.stat().st_size for file in (HERE / "everyday").iterdir()) <= 25_000_000


def test_everyday_has_82_classes(everyday: tuple[Item, ...]) -> None:
    """At least 50 items each, but for pictures of cheese and some words of which WordNet has fewer."""
    counts = Counter((item.modality, item.label) for item in everyday)
    classes = Counter(modality for modality, _ in counts)
    assert classes == {"image": 20, "text": 20, "audio": 16, "depth": 14, "video": 12}
    small = {modality for (modality, _), count in counts.items() if count < 50}
    assert small <= {"image", "text"}
    assert min(counts.values()) >= 25


def test_everyday_is_learned_and_tested_from_different_sources(everyday: tuple[Item, ...]) -> None:
    sides = defaultdict(set)
    groups = defaultdict(set)
    for item in everyday:
        sides[item.modality, item.label].add(item.split)
        groups[item.modality, item.group].add(item.split)
    assert all(side == {"train", "test"} for side in sides.values())
    assert all(len(side) == 1 for side in groups.values())


def test_everyday_has_unique_ids_and_permissive_licences(everyday: tuple[Item, ...]) -> None:
    assert len({item.id for item in everyday}) == len(everyday)
    assert all(item.licence for item in everyday)
    assert not any("NC" in item.licence or "GPL" in item.licence for item in everyday)
