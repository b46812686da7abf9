"""A long sound is found at its moment, once, and its windows follow their file."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile

import remodal
from remodal.modalities.audio import Audio
from remodal.modalities.windows import Span
from remodal.search import Chance, Hit, Index, Query, Stored, forget, keep_up, refresh
from remodal.search.rows import SPAN, Places
from remodal.updating import update


@pytest.fixture
def model(saved: Path, lite_cache: Path) -> remodal.Model:
    """It knows high and low tones."""
    return remodal.load(saved, cache=lite_cache)


@pytest.fixture
def store(walk: Path, tmp_path: Path) -> Path:
    """A copy of the sounds, which may be changed."""
    return Path(shutil.copytree(walk, tmp_path / "store"))


@pytest.fixture
def index(model: remodal.Model, store: Path, tmp_path: Path) -> Index:
    """Of the sounds."""
    found = Index.create(str(tmp_path / "index"), "model", model.backbone.fingerprint, model.backbone.width)
    assert keep_up(found, model, store)[:3] == (2, 0, 0)
    return found


def high(index: Index, model: remodal.Model, **asked: bool) -> list[Hit]:
    """What is found of high tones, which are called cold."""
    return index.search(model.embed_words("cold").tolist(), **asked)


def test_the_moment_is_found_and_a_file_is_found_once(index: Index, model: remodal.Model) -> None:
    first, *others = high(index, model)
    assert Path(first.path).name == "walk.flac"
    assert first.span is not None
    assert 40 <= first.span.start < first.span.end <= 50
    assert [(Path(one.path).name, one.span) for one in others] == [("short.wav", None)]


def test_each_window_is_found_by_itself_where_that_is_asked(index: Index, model: remodal.Model) -> None:
    hits = high(index, model, windows=True)
    assert len(hits) == 10
    assert all(hit.span and 37.5 <= hit.span.start <= 47.5 for hit in hits[:3])
    assert len({hit.id for hit in hits}) == 10
    found = index.file(hits[0].id)
    assert found is not None
    assert found.path.name == "walk.flac"


def test_files_are_counted_and_windows_beside_them(index: Index) -> None:
    assert index.count() == (2, 1, 35)
    assert str(index.count()) == "2 files, 1 of them cut in 35 windows"


def test_what_is_known_is_not_decoded_again_under_another_name_or_in_another_index(
    index: Index, model: remodal.Model, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Audio, "windows", None)
    (store / "walk.flac").rename(store / "renamed.flac")
    assert keep_up(index, model, store)[:3] == (0, 2, 1)
    assert index.count() == (2, 1, 35)
    another = Index.create(str(tmp_path / "other"), "model", model.backbone.fingerprint, model.backbone.width)
    assert keep_up(another, model, store)[:3] == (2, 0, 0)  # from stored features, by content and moment
    assert high(another, model)[0].span == high(index, model)[0].span


def test_a_file_that_became_shorter_leaves_no_window_behind(index: Index, model: remodal.Model, store: Path) -> None:
    sound, rate = soundfile.read(store / "walk.flac")
    soundfile.write(store / "walk.flac", sound[: 62 * rate], rate)
    assert keep_up(index, model, store)[:3] == (1, 1, 0)
    ends = [one.end for one in index.stored([str(store / "walk.flac")]) if one.end is not None]
    assert max(ends) == 62
    soundfile.write(store / "walk.flac", sound[:rate], rate)
    assert keep_up(index, model, store)[:3] == (1, 1, 0)
    assert index.count() == (2, 0, 0)


def test_a_file_that_was_being_replaced_when_a_process_died_is_put_right(
    index: Index, model: remodal.Model, store: Path
) -> None:
    sound, rate = soundfile.read(store / "walk.flac")
    soundfile.write(store / "walk.flac", sound[: 70 * rate], rate)
    before = index.stored([str(store / "walk.flac")])
    keep_up(index, model, store)
    index.put([one for one in before if one.start is not None and one.start > 70])  # not yet removed
    assert keep_up(index, model, store)[:3] == (0, 2, 0)
    assert {one.content for one in index.stored([str(store / "walk.flac")])} != {before[0].content}
    assert len({one.content for one in index.stored([str(store / "walk.flac")])}) == 1


def test_a_file_that_is_gone_or_forgotten_takes_its_windows_along(
    index: Index, model: remodal.Model, store: Path
) -> None:
    (store / "walk.flac").unlink()
    assert keep_up(index, model, store)[:3] == (0, 1, 1)
    assert index.count() == (1, 0, 0)
    assert forget(index, store) == 1


def test_windows_follow_a_model_that_learned_more_and_an_altered_file_is_told_of(
    index: Index, model: remodal.Model, saved: Path, folder: Path, store: Path, lite_cache: Path, tmp_path: Path
) -> None:
    shutil.copytree(folder / "audio/warm", tmp_path / "more/audio/hum")
    update(saved, tmp_path / "more", cache=lite_cache)
    newer = remodal.load(saved, cache=lite_cache)
    assert index.stale(newer.lineage) == {"audio": 36}
    assert refresh(index, newer)[:2] == (36, 0)
    assert index.stale(newer.lineage) == {}
    first = high(index, newer)[0]
    assert first.span is not None
    assert 40 <= first.span.start <= 45
    shutil.copy(store / "short.wav", store / "walk.flac")
    done = refresh(index, model)
    assert [one.reason for one in done.refused] == ["was changed since it was indexed; index its folder again"]


def test_silence_in_a_long_sound_is_left_out_and_told_of_once(index: Index, model: remodal.Model, store: Path) -> None:
    sound, rate = soundfile.read(store / "walk.flac")
    sound[10 * rate : 20 * rate] = 0
    soundfile.write(store / "walk.flac", sound, rate)
    done = keep_up(index, model, store)
    (partly,) = done.partly
    assert partly.reason.startswith("3 of 35 windows are left out, from 0:10-0:15 on: found silence")
    assert index.count() == (2, 1, 32)
    assert keep_up(index, model, store)[:3] == (0, 2, 0)


def test_a_long_sound_that_is_cut_off_has_what_can_be_read(model: remodal.Model, index: Index, store: Path) -> None:
    data = (store / "walk.flac").read_bytes()
    (store / "walk.flac").write_bytes(data[: len(data) * 3 // 4])
    keep_up(index, model, store)
    spans = [Span(one.start, one.end) for one in index.stored() if one.start is not None and one.end is not None]
    assert max(span.end for span in spans) < 90
    assert high(index, model)[0].span in spans


def test_an_index_of_an_earlier_version_holds_whole_files(index: Index, model: remodal.Model, store: Path) -> None:
    index.remove(one.id for one in index.stored() if one.start is not None)
    index._table.drop_columns(list(SPAN))
    again = Index.open(index.uri)
    assert [(Path(hit.path).name, hit.span) for hit in high(again, model)] == [("short.wav", None)]
    assert keep_up(again, model, store)[:3] == (1, 1, 0)
    assert again.count() == (2, 1, 35)


@pytest.fixture
def recordings() -> Places:
    """Windows of a long file, which are all alike whatever they are called, and short files of six classes."""
    draws, names = np.random.default_rng(0), [f"class {number}" for number in range(6)]
    centres = {name: draws.standard_normal(32) for name in (*names, "the room")}
    labels = [names[number % 6] for number in range(60)] + [names[number % 6] for number in range(300)]
    around = [*labels[:60], *["the room"] * 300]
    vectors = np.stack([centres[one] + 0.3 * draws.standard_normal(32) for one in around])
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    files = [str(number) for number in range(60)] + ["long"] * 300
    return Places(labels, ["audio"] * 360, vectors.astype(np.float32), files)


def test_windows_of_one_file_are_no_chance_matches_of_each_other(recordings: Places) -> None:
    chance = Chance(recordings, lambda _: recordings.vectors[0])
    query = Query("audio", recordings.vectors[0])
    (hit,) = chance.marked(query, [Hit("1", "1", "audio", recordings.labels[0], 0.9)])
    assert hit.sure is True
    as_files = recordings._replace(files=[str(number) for number in range(360)])
    (apart,) = Chance(as_files, lambda _: recordings.vectors[0]).marked(query, [hit])
    assert apart.sure is False


def test_the_best_windows_of_many_files_are_found_though_one_has_most(tmp_path: Path) -> None:
    index, draws = Index.create(str(tmp_path / "many"), "model", "fingerprint", 8), np.random.default_rng(0)
    near = np.eye(8, dtype=np.float32)[0]

    def row(path: str, away: float, start: float) -> Stored:
        place = near + away * draws.standard_normal(8).astype(np.float32)
        place /= np.linalg.norm(place)
        return Stored(path, "/", path, "audio", "a", 0.5, "", place, "", start, start + 5)

    index.put([row("/long", 0.01, 2.5 * number) for number in range(500)])
    index.put([row(f"/{number}", 0.5, 0.0) for number in range(20)])
    found = [hit.path for hit in index.search(near.tolist(), top=5)]
    assert found[0] == "/long"
    assert len(set(found)) == 5
