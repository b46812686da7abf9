"""A model moves to another frozen model: nothing of what it learned, forgot or was corrected is lost on the way."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from small_models import save_clip

import remodal
from remodal.correcting import Forget, Relabel, correct
from remodal.errors import RemodalError, UnknownName
from remodal.migrating import migrate
from remodal.saved import changing, roll_back, versions
from remodal.search import Index, forget, keep_up
from remodal.testing.candidate import same

pytest.importorskip("transformers", reason="pip install 'remodal[transformer]'")


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another frozen model."""
    return save_clip(tmp_path_factory.mktemp("clip"))


@pytest.fixture
def moved(saved: Path, folder: Path, clip: Path, lite_cache: Path) -> Callable[..., remodal.Model]:
    """The saved model, moved to the other frozen model, and loaded."""

    def move(**options: object) -> remodal.Model:
        done = migrate(saved, str(clip), [folder], cache=lite_cache, **options)  # type: ignore[arg-type]
        return remodal.load(done.folder, cache=lite_cache, trust_backbone=clip)

    return move


def test_a_moved_model_is_the_one_that_was_taught_the_same_on_the_other_frozen_model(
    moved: Callable[..., remodal.Model], folder: Path, clip: Path, lite_cache: Path
) -> None:
    taught = remodal.Model("nearest-mean", str(clip), cache=lite_cache)
    for task in remodal.stream(folder):
        taught.learn(task, origin="red, blue, high, low")
    found = moved()
    assert same(found.method.state(), taught.method.state())
    assert found.seen_ == taught.seen_
    assert found.lineage == taught.lineage
    assert found.about().sources == taught.about().sources
    for modality, kept in taught.learned_.held_out.kept.items():
        own = found.learned_.held_out.kept[modality]
        assert (own.labels, own.tokens.content.equal(kept.tokens.content)) == (kept.labels, True)


def test_the_earlier_version_stays_and_can_be_gone_back_to(
    moved: Callable[..., remodal.Model], saved: Path, lite_cache: Path
) -> None:
    before = remodal.load(saved, cache=lite_cache)
    moved()
    assert [one.note for one in versions(saved)][1:] == [
        f"moved from the backbone lite to {versions(saved)[1].about.backbone}"
    ]
    with changing(saved):
        assert roll_back(saved).version == 1
    assert same(remodal.load(saved, cache=lite_cache).method.state(), before.method.state())


def test_what_was_forgotten_stays_forgotten_and_what_was_relabelled_keeps_its_name(
    moved: Callable[..., remodal.Model], saved: Path, folder: Path, lite_cache: Path
) -> None:
    learned = [
        file
        for file in sorted(folder.glob("image/warm/*"))
        if remodal.load(saved, cache=lite_cache).holding(file).learned.any()
    ]
    correct(saved, Forget(files=[learned[0]]), cache=lite_cache)
    correct(saved, Relabel([learned[1]], "hot"), cache=lite_cache)
    before = remodal.load(saved, cache=lite_cache).learned_
    found = moved().learned_
    assert found.columns == before.columns
    assert found.items.columns.equal(before.items.columns)
    assert Counter(found.held_out.kept["image"].labels) == Counter(before.held_out.kept["image"].labels)


def test_files_are_found_wherever_they_lie_now(
    saved: Path, folder: Path, clip: Path, lite_cache: Path, tmp_path: Path
) -> None:
    """Two folders, other classes, other names."""
    for number, file in enumerate(sorted(folder.rglob("*.*"))):
        modality = file.relative_to(folder).parts[0]
        there = tmp_path / ("first" if number % 2 else "second") / modality / "unsorted" / f"{number}{file.suffix}"
        there.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, there)
    done = migrate(saved, str(clip), [tmp_path / "first", tmp_path / "second"], cache=lite_cache)
    before = remodal.load(saved, cache=lite_cache, trust_backbone=clip)
    assert (done.items, done.held_out, done.lost) == (len(before.learned_.items), len(before.learned_.held_out), 0)
    assert before.seen_ == remodal.load(saved, cache=lite_cache, trust_backbone=clip).seen_


def test_held_out_files_that_are_gone_are_counted(
    saved: Path, folder: Path, clip: Path, lite_cache: Path, tmp_path: Path
) -> None:
    model = remodal.load(saved, cache=lite_cache)
    rest = Path(shutil.copytree(folder, tmp_path / "rest"))
    held_out = [file for file in sorted(rest.rglob("*.*")) if not model.holding(file).learned.any()]
    for file in held_out[:3]:
        file.unlink()
    done = migrate(saved, str(clip), [rest], cache=lite_cache)
    assert (done.lost, done.held_out) == (3, len(model.learned_.held_out) - 3)


def test_a_learned_file_that_is_gone_is_told_and_the_model_stays_as_it_was(
    saved: Path, folder: Path, clip: Path, lite_cache: Path, tmp_path: Path
) -> None:
    model = remodal.load(saved, cache=lite_cache)
    rest = Path(shutil.copytree(folder, tmp_path / "rest"))
    next(file for file in sorted(rest.rglob("*.*")) if model.holding(file).learned.any()).unlink()
    with pytest.raises(RemodalError, match=r"found no file of 1 of \d+ items that the model has learned in .*rest"):
        migrate(saved, str(clip), [rest], cache=lite_cache)
    assert len(versions(saved)) == 1


def test_mistakes_are_told_in_one_line(saved: Path, folder: Path, lite_cache: Path) -> None:
    for backbone, data, error, told in (
        ("lite", folder, RemodalError, "is on the backbone 'lite' already"),
        ("vitt", folder, UnknownName, "unknown backbone 'vitt'; did you mean 'vit'?"),
        ("vit", "everydya", UnknownName, "did you mean 'everyday'?"),
    ):
        with pytest.raises(error, match=told):
            migrate(saved, backbone, [data], cache=lite_cache)
    with pytest.raises(UnknownName, match=r"unknown setting 'backbone.siz'"):
        migrate(saved, "vit", [folder], backbone_settings={"siz": 56}, cache=lite_cache)


def test_an_index_moves_with_its_model_and_goes_back_with_it(
    saved: Path, folder: Path, index: str, clip: Path, lite_cache: Path
) -> None:
    before = Index.open(index)
    done = migrate(saved, str(clip), [folder], index=index, cache=lite_cache)
    assert (done.indexed, done.refused) == (len(before), ())

    moved = remodal.load(saved, cache=lite_cache, trust_backbone=clip)
    (answer,) = moved.answers([folder / "image/warm/3.png"])
    assert answer.place is not None
    now = Index.open(index).of(moved.backbone.fingerprint)
    assert now.stale(moved.lineage) == {}
    assert now.search(answer.place.tolist(), top=1)[0].path.endswith("image/warm/3.png")

    with changing(saved):
        roll_back(saved)
    back = remodal.load(saved, cache=lite_cache)
    assert Index.open(index).of(back.backbone.fingerprint).stored() == before.stored()


def test_what_leaves_an_index_leaves_what_an_earlier_version_finds_too(
    saved: Path, folder: Path, clip: Path, lite_cache: Path, tmp_path: Path
) -> None:
    media, model = Path(shutil.copytree(folder, tmp_path / "media")), remodal.load(saved, cache=lite_cache)
    index = Index.create(str(tmp_path / "moving"), str(saved), model.backbone.fingerprint, model.backbone.width)
    keep_up(index, model, media)
    migrate(saved, str(clip), [media], index=index.uri, cache=lite_cache)
    moved = remodal.load(saved, cache=lite_cache, trust_backbone=clip)
    (media / "image/warm/0.png").unlink()
    assert keep_up(Index.open(index.uri), moved, media).removed == 1
    assert [len(one) for one in index.all()] == [47, 47]
    assert forget(Index.open(index.uri), media / "audio") == 16
    assert [len(one) for one in index.all()] == [31, 31]


def test_a_migration_that_dies_leaves_model_and_index_as_they_were(
    saved: Path, folder: Path, index: str, clip: Path, lite_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, model = Index.open(index), remodal.load(saved, cache=lite_cache)
    stored = before.stored()

    def dies(_: Index) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as dying:
        dying.setattr(Index, "switch", dies)
        with pytest.raises(KeyboardInterrupt):
            migrate(saved, str(clip), [folder], index=index, cache=lite_cache)
    assert len(versions(saved)) == 1
    assert Index.open(index).of(model.backbone.fingerprint).stored() == stored
    assert len(before.all()) == 1
    assert migrate(saved, str(clip), [folder], index=index, cache=lite_cache).indexed == len(stored)


def test_an_index_of_another_frozen_model_is_refused(
    saved: Path, folder: Path, clip: Path, lite_cache: Path, tmp_path: Path
) -> None:
    other = Index.create(str(tmp_path / "other"), str(saved), "another-one", 8)
    with pytest.raises(RemodalError, match="made with the backbone another-one"):
        migrate(saved, str(clip), [folder], index=other.uri, cache=lite_cache)
    assert len(versions(saved)) == 1
