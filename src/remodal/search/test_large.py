"""A large index is searched, updated and kept in order without reading all of it, whoever writes to it at once.

"Large" begins at a thousand rows here.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import remodal
from remodal.search import Index, Stored, forget, keep_up, refresh, upkeep
from remodal.search.conditions import LISTED

WIDTH = 32
ROWS = 3_000


@pytest.fixture(autouse=True)
def _large_begins_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upkeep, "EXACT_ROWS", 1_000)
    monkeypatch.setattr(upkeep, "EXACT_FEW", 100)
    monkeypatch.setattr(upkeep, "PARTITION_ROWS", 100)
    monkeypatch.setattr(upkeep, "PROBES", 12)
    monkeypatch.setattr(upkeep, "NEW_ROWS", 200)


def place(number: int) -> NDArray[np.float32]:
    """Near one of fifty centres."""
    draws = np.random.default_rng(number)
    found = np.random.default_rng(draws.integers(50)).standard_normal(WIDTH) + 0.5 * draws.standard_normal(WIDTH)
    return (found / np.linalg.norm(found)).astype(np.float32)


ELSEWHERE = [place(number) for number in range(1_000_000, 1_000_100)]
"""Where no file is."""


def files(count: int, start: int = 0, label: str = "first", modality: str = "image") -> list[Stored]:
    """Files number ``start`` on."""
    return [
        Stored(f"/far/{number}", "/far", f"content {number}", modality, label, 0.5, "lineage", place(number))
        for number in range(start, start + count)
    ]


@pytest.fixture
def large(tmp_path: Path) -> Index:
    """An index of ``ROWS`` files, which LanceDB's own indices are made for."""
    index = Index.create(str(tmp_path / "large"), "model", "fingerprint", WIDTH)
    index.put(files(ROWS))
    index.tidy()
    return index


def numbers(index: Index, wanted: NDArray[np.float32], **asked: Any) -> list[int]:
    """The files that are found near a place."""
    return [int(Path(hit.path).name) for hit in index.search(wanted.tolist(), **asked)]


def exactly(monkeypatch: pytest.MonkeyPatch, index: Index, wanted: NDArray[np.float32], **asked: Any) -> list[int]:
    """The same, compared with every row."""
    with monkeypatch.context() as here:
        here.setattr(upkeep, "EXACT_ROWS", 1_000_000)
        return numbers(index, wanted, **asked)


def indices(index: Index) -> dict[str, int]:
    """The names of LanceDB's own indices, and how many rows each lacks."""
    return {one.name: one.num_unindexed_rows for one in index._table.list_indices()}


@pytest.mark.parametrize("modalities", [(), ("text",)], ids=["all", "one modality"])
def test_a_large_index_finds_what_an_exact_search_finds(
    large: Index, monkeypatch: pytest.MonkeyPatch, modalities: tuple[str, ...]
) -> None:
    large.put(files(400, modality="text"))
    assert f"places-{ROWS // 100}" in indices(large)
    found = [
        len({*numbers(large, one, modalities=modalities)} & {*exactly(monkeypatch, large, one, modalities=modalities)})
        for one in ELSEWHERE
    ]
    assert np.mean(found) >= 9.8


def test_a_small_index_has_no_indices_and_is_exact(tmp_path: Path) -> None:
    index = Index.create(str(tmp_path / "small"), "model", "fingerprint", WIDTH)
    stored = files(900)
    index.put(stored)
    index.tidy()
    assert indices(index) == {}
    vectors = np.stack([one.vector for one in stored])
    for wanted in ELSEWHERE[:20]:
        assert numbers(index, wanted) == np.argsort(-vectors @ wanted)[:10].tolist()


def test_new_changed_and_removed_files_are_right_at_once_and_after_tidying(large: Index) -> None:
    new, changed, removed = ELSEWHERE[:3]
    large.put([replace(files(1, ROWS)[0], vector=new), replace(files(1)[0], vector=changed, label="second")])
    large.put([replace(files(1, 1)[0], vector=removed)])
    large.remove([files(1, 1)[0].id])

    def right() -> None:
        assert numbers(large, new)[0] == ROWS
        assert numbers(large, changed)[0] == 0
        assert 1 not in numbers(large, removed)
        assert 0 not in numbers(large, place(0))
        assert len(large) == ROWS
        labels = {one.path: one.label for one in large.stored(["/far/0", "/far/1", "/far/2"])}
        assert labels == {"/far/0": "second", "/far/2": "first"}

    right()
    large.put(files(upkeep.NEW_ROWS, 2 * ROWS))
    large.tidy()
    assert set(indices(large).values()) == {0}
    large.remove(one.id for one in files(upkeep.NEW_ROWS, 2 * ROWS))
    right()


def test_a_few_changes_leave_the_indices_as_they_are(large: Index) -> None:
    before = large._table.version
    large.put(files(upkeep.NEW_ROWS - 1, ROWS))
    large.tidy()
    assert large._table.version == before + 1
    large.put(files(1, 2 * ROWS))
    large.tidy()
    assert set(indices(large).values()) == {0}


def test_an_index_that_has_grown_or_is_in_many_pieces_is_made_anew(
    large: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "SEGMENTS", 2)
    for step in range(1, 4):
        large.put(files(ROWS, step * ROWS))
        large.tidy()
        (made,) = [one for one in large._table.list_indices() if one.name.startswith("places-")]
        assert made.num_unindexed_rows == 0
        assert made.num_segments <= 2
    assert int(made.name.removeprefix("places-")) > 2 * ROWS // 100
    assert numbers(large, place(2 * ROWS))[0] == 2 * ROWS


def test_a_search_among_few_of_many_is_exact(large: Index) -> None:
    few = files(40, ROWS, modality="audio")
    large.put(few)
    vectors = np.stack([one.vector for one in few])
    for wanted in ELSEWHERE[:20]:
        nearest = ROWS + np.argsort(-vectors @ wanted)[:10]
        assert numbers(large, wanted, modalities=["audio"]) == nearest.tolist()


def test_files_are_still_replaced_and_added_after_tidying(large: Index) -> None:
    # lancedb/lancedb#3177: with an index of the column that rows are matched by, nothing was replaced after optimize
    for step in range(1, 4):
        large.put(files(ROWS // 2 + step, ROWS // 2, label=f"step {step}"))
        large._table.optimize()
        assert set(indices(large).values()) == {0}
        assert len(large) == ROWS + step
        labels = Counter(one.label for one in large.stored())
        assert labels == {"first": ROWS // 2, f"step {step}": ROWS // 2 + step}


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A one for each row that is read; what would read all of them fails."""
    rows, stored = list[int](), Index.stored

    def counting(self: Index, condition: str | None, columns: object) -> Iterator[dict[str, Any]]:
        for row in all_rows(self, condition, columns):
            rows.append(1)
            yield row

    def of_some(self: Index, paths: Iterable[str] | None = None) -> list[Stored]:
        assert paths is not None
        return stored(self, paths)

    all_rows = Index._rows
    monkeypatch.setattr(Index, "_rows", counting)
    monkeypatch.setattr(Index, "stored", of_some)
    return rows


def test_keeping_up_refreshing_and_forgetting_read_nothing_of_the_other_files(
    saved: Path, lite_cache: Path, folder: Path, tmp_path: Path, read: list[int]
) -> None:
    model = remodal.load(saved, cache=lite_cache)
    index = Index.create(str(tmp_path / "index"), "model", model.backbone.fingerprint, model.backbone.width)
    vector = np.eye(model.backbone.width, dtype=np.float32)[0]
    others = [
        replace(one, vector=vector, lineage=model.lineage[one.modality], modality=one.modality) for one in files(ROWS)
    ]
    index.put(others)
    text = folder / "text"
    assert keep_up(index, model, text)[:3] == (16, 0, 0)
    assert keep_up(index, model, text)[:3] == (0, 16, 0)
    index.put([replace(one, lineage="of an earlier version") for one in others[:5]])
    refused = refresh(index, model).refused
    assert len(refused) == 5  # there are no such files
    assert forget(index, text) == 16
    assert len(index) == ROWS
    assert len(read) < 200


def test_more_files_than_one_condition_lists(large: Index) -> None:
    many = files(2 * LISTED + 1)
    assert len(large.files(one.path for one in many)) == len(many)
    assert len(list(large.with_content(one.content for one in many))) == len(many)
    large.remove(one.id for one in many)
    assert len(large) == ROWS - len(many)


def test_a_folder_is_told_from_its_neighbours_by_its_whole_name(large: Index) -> None:
    (one,) = files(1)
    for name in ("it's", 'a "b"', "100%_", "x;--", "ü", "\\"):
        inside = {f"/{name}", f"/{name}/a", f"/{name}/b/c", f"/{name}/'"}
        outside = {f"/{name}2/a", f"/{name}.b/a", f"/{name}0", f"/{name}-/x", "/1000/a", "/x"}
        large.put([replace(one, path=path) for path in inside | outside])
        assert {found.path for found in large.below(Path(f"/{name}"))} == inside
        assert large.remove_below(Path(f"/{name}")) == len(inside)
        assert set(large.files(inside | outside)) == outside
    assert len(list(large.below(Path("/")))) == len(large)


WRITER = """
import sys
from pathlib import Path
from remodal.search import Index, upkeep
from remodal.search.test_large import files
upkeep.EXACT_ROWS, upkeep.NEW_ROWS = 1_000, 100
uri, number, waits = sys.argv[1:]
index = Index.open(uri)
Path(waits, number).touch()
while len(list(Path(waits).iterdir())) < 2:
    pass
for start in range(5_000, 5_500, 50):
    index.put(files(50, start, label=number))
    if number == "1":
        index.tidy()
"""


@pytest.mark.parametrize("scheme", ["", "file://"])
def test_processes_that_write_the_same_files_at_once_lose_and_double_nothing(
    large: Index, tmp_path: Path, scheme: str
) -> None:
    # lance-format/lance#6018: each of two processes inserted a file that neither had seen of the other
    waits = tmp_path / "waits"
    waits.mkdir()
    command = [sys.executable, "-c", WRITER, scheme + large.uri]
    writers = [subprocess.Popen([*command, number, waits], stderr=subprocess.PIPE, text=True) for number in ("1", "2")]
    assert [(writer.communicate()[1], writer.returncode) for writer in writers] == [("", 0), ("", 0)]
    paths = Counter(one.path for one in large.stored())
    assert paths == Counter(one.path for one in [*files(ROWS), *files(500, 5_000)])


TIDIED = """
import json, resource, sys
import numpy as np
import pyarrow as pa
from remodal.search import Index

index, draws = Index.create(sys.argv[1], "model", "fingerprint", 384), np.random.default_rng(0)
def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
for start in range(0, int(sys.argv[2]), 4_000):
    names = pa.array([f"{at:064}" for at in range(start, start + 4_000)])
    columns = {name: names for name in ("id", "path", "content")}
    columns["vector"] = pa.FixedSizeListArray.from_arrays(pa.array(draws.standard_normal(4_000 * 384, np.float32)), 384)
    columns["probability"] = pa.array([0.5] * 4_000, pa.float32())
    columns |= {name: pa.nulls(4_000, pa.float64()) for name in ("start", "end")}
    columns |= {name: pa.array(["image"] * 4_000) for name in index._table.schema.names if name not in columns}
    index._table.add(pa.table(columns, schema=index._table.schema))
before = peak()
index.tidy()
print(json.dumps(peak() - before))
"""


@pytest.mark.long
def test_the_memory_to_tidy_an_index_does_not_grow_with_it(tmp_path: Path) -> None:
    # lancedb/lancedb#2325: optimize held what it read
    taken = {}
    for rows in (100_000, 300_000):
        command = [sys.executable, "-c", TIDIED, str(tmp_path / str(rows)), str(rows)]
        taken[rows] = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    more_on_disk = 200_000 * 384 * 4 / 1e6
    assert taken[300_000] - taken[100_000] < more_on_disk / 2, taken
