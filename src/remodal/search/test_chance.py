"""What is nearer than chance is told from what is not, by what the index itself holds."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from remodal.answering import Answer
from remodal.errors import BadItem
from remodal.search import Chance, Hit, Index, Query, Stored
from remodal.search.rows import Places

WIDTH = 64
CLASSES = [f"class {number}" for number in range(12)]


def direction(*parts: object) -> NDArray[np.float32]:
    """A place that the words in ``parts`` have in common with none but themselves."""
    seed = int.from_bytes(sha256(repr(parts).encode()).digest()[:8])
    return unit(np.random.default_rng(seed).standard_normal(WIDTH))


def unit(vector: NDArray[np.floating]) -> NDArray[np.float32]:
    return (vector / np.linalg.norm(vector)).astype(np.float32)


def embedded(words: str) -> NDArray[np.float32]:
    """Names lie where their classes are, and sentences about them half way to somewhere else."""
    for name in CLASSES:
        if name in words:
            return unit(direction(name) + (0 if words == name else 0.7) * direction("sentence"))
    return direction(words)


@pytest.fixture
def places() -> Places:
    """Forty files a class, around its place; pictures and sounds."""
    draws = np.random.default_rng(0)
    labels = [name for name in CLASSES for _ in range(40)]
    vectors = np.stack([unit(direction(name) + 0.1 * draws.standard_normal(WIDTH)) for name in labels])
    files = [str(number) for number in range(len(labels))]
    return Places(labels, ["image", "audio"] * (len(labels) // 2), vectors, files)


def best(places: Places, query: Query) -> Hit:
    """The nearest file."""
    cosines = places.vectors @ query.place
    at = int(cosines.argmax())
    return Hit("id", "path", places.modalities[at], places.labels[at], float(cosines[at]))


def sure(places: Places, *queries: Query) -> list[bool | None]:
    chance = Chance(places, embedded)
    return [hit.sure for query in queries for hit in chance.marked(query, [best(places, query)])]


def words(*asked: str) -> list[Query]:
    return [Query("words", embedded(one)) for one in asked]


def test_names_and_sentences_about_stored_classes_are_sure(places: Places) -> None:
    assert sure(places, *words(*CLASSES)) == [True] * len(CLASSES)
    assert sure(places, *words(*(f"I look for a {name}" for name in CLASSES))) == [True] * len(CLASSES)


def test_words_about_nothing_that_is_stored_are_not(places: Places) -> None:
    assert sum(bool(one) for one in sure(places, *words(*(f"other {number}" for number in range(100))))) <= 20


def test_media_are_measured_by_files_of_their_own_modality(places: Places) -> None:
    near = [Query("image", unit(direction(name) + 0.1 * direction("new", name))) for name in CLASSES]
    far = [Query("image", direction("far", number)) for number in range(100)]
    assert sure(places, *near) == [True] * len(CLASSES)
    assert sum(bool(one) for one in sure(places, *far)) <= 20
    assert sure(places, Query("video", direction("x"))) == [None]


def test_where_some_modalities_are_searched_chance_is_among_their_files(places: Places) -> None:
    """Sounds lie farther from everything, so that a picture finds none of its class as near as it finds pictures."""
    sounds = np.asarray(places.modalities) == "audio"
    moved = np.stack(
        [unit(one + 2 * direction("sound")) if far else one for one, far in zip(places.vectors, sounds, strict=True)]
    )
    places = places._replace(vectors=moved)
    queries = [Query("image", unit(direction(name) + 0.1 * direction("new", name))) for name in CLASSES]
    heard = Places(*(np.asarray(column)[sounds] for column in places))  # type: ignore[arg-type]
    among_all, among_sounds = Chance(places, embedded), Chance(places, embedded, ["audio"])
    found = [(query, best(heard, query)) for query in queries]
    assert [among_sounds.marked(query, [hit])[0].sure for query, hit in found] == [True] * len(CLASSES)
    assert sum(bool(among_all.marked(query, [hit])[0].sure) for query, hit in found) < len(CLASSES) / 2


def test_for_a_medium_that_is_unlike_anything_learned_nothing_is_sure(places: Places) -> None:
    assert sure(places, Query("image", direction(CLASSES[0]), unfamiliar=True)) == [False]


def test_an_index_of_few_classes_or_none_has_too_little_to_say(places: Places) -> None:
    two = Places(places.labels[:80], places.modalities[:80], places.vectors[:80], places.files[:80])
    empty = Places([], [], np.zeros((0, 0), dtype=np.float32), [])
    assert sure(two, *words(CLASSES[0])) == [None]
    assert Chance(empty, embedded).marked(*words("x"), []) == []


def test_a_medium_that_could_not_be_read_is_no_query() -> None:
    with pytest.raises(BadItem, match="cut short"):
        Query.of_medium(Answer("photo.jpg", (), {}, None, "cut short"))


def test_a_part_of_a_large_index_stands_for_all_of_it(places: Places, tmp_path: Path) -> None:
    index = Index.create(str(tmp_path / "index"), "model", "fingerprint", WIDTH)
    rows = zip(*places, strict=True)
    index.put(
        [
            Stored(f"/{at}", "/", str(at), modality, label, 0.9, "", vector)
            for at, (label, modality, vector, _) in enumerate(rows)
        ]
    )
    before = index.state
    assert len(index.places(1_000).labels) == len(places.labels)
    some = index.places(100)
    assert 60 < len(some.labels) < 140
    assert index.places(100).labels == some.labels
    assert index.state == before
    index.remove([index.search(direction(CLASSES[0]).tolist())[0].id])
    assert index.state != before
