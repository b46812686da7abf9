"""A saved model forgets, and is then the model that never saw what it has forgotten."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import remodal
from remodal.errors import RemodalError
from remodal.features.store import FeatureStore
from remodal.model import Model
from remodal.saved import versions
from remodal.streams.base import Column, Item, Task
from remodal.unlearning import Chosen, forget
from remodal.updating import update


def tasks(folder: Path, but: frozenset[str] = frozenset()) -> list[Task]:
    """The folder's tasks without these items, and without classes that have none left."""
    found = []
    for task in remodal.stream(str(folder)).tasks:
        kept: list[Item] = [item for item in task.train if item.id not in but]
        labels = {item.label for item in kept}
        classes = tuple(name for name in task.classes if name in labels)
        test = tuple(item for item in task.test if item.label in classes)
        if classes:
            found.append(Task(len(found), task.modality, classes, tuple(kept), test))
    return found


def learned(method: str, of: list[Task], cache: Path, **settings: object) -> Model:
    """A model of these tasks."""
    model = Model(method, "lite", cache=cache, **settings)
    for task in of:
        model.learn(task)
    return model


def same(one: Model, other: Model) -> bool:
    """Whether both have learned the same, to the bit."""
    first, second = one.method.state(), other.method.state()
    equal = all(torch.equal(tensor, second.tensors[name]) for name, tensor in first.tensors.items())
    return first.values == second.values and one.lineage == other.lineage and equal


@pytest.mark.parametrize(
    ("method", "settings"), [("remodal", {}), ("nearest-mean", {}), ("comm", {"steps": 2, "realign_steps": 2})]
)
def test_a_model_without_items_is_the_one_that_never_saw_them(
    folder: Path, lite_cache: Path, method: str, settings: dict[str, object]
) -> None:
    whole = learned(method, tasks(folder), lite_cache, **settings)
    some = frozenset(item.id for task in tasks(folder) for item in task.train[:2])
    forgotten = Chosen(files=[folder / name for name in some])
    left = whole.without(forgotten.among(whole.learned_, whole.backbone))
    assert same(left, learned(method, tasks(folder, but=some), lite_cache, **settings))
    assert same(whole, learned(method, tasks(folder), lite_cache, **settings))  # and isn't changed


def test_a_file_that_was_learned_twice_is_forgotten_twice(folder: Path, lite_cache: Path) -> None:
    (first, *_) = tasks(folder)
    twice = learned("nearest-mean", [first, first], lite_cache)
    chosen = Chosen(files=[folder / first.train[0].id]).among(twice.learned_, twice.backbone)
    assert chosen.nonzero()[:, 0].tolist() == [0, len(first.train)]


def test_a_class_goes_with_what_is_held_out_of_it(saved: Path, lite_cache: Path) -> None:
    before = remodal.load(saved, cache=lite_cache)
    done = forget(saved, Chosen(classes=["text:warm"]), cache=lite_cache)
    assert (done.version, done.gone) == (2, (Column("text", "warm"),))
    after = remodal.load(saved, cache=lite_cache)
    assert set(before.seen_) - set(after.seen_) == {Column("text", "warm")}
    assert set(after.learned_.held_out.counts("text")) == {"cold"}
    total = done.items + done.left
    assert [one.note for one in versions(saved)] == ["", f"forgot text:warm: {done.items} of {total} items"]
    assert len(after.learned_.items) == len(before.learned_.items) - done.items == done.left > 0
    assert {name: one.items for name, one in done.after.items()} == {
        name: one.items for name, one in done.before.items()
    }


def test_what_came_from_one_source_goes_and_the_rest_stays(
    saved: Path, folder: Path, lite_cache: Path, tmp_path: Path
) -> None:
    before = remodal.load(saved, cache=lite_cache)
    more = tmp_path / "more" / "text" / "warm"
    more.mkdir(parents=True)
    (more / "0.txt").write_text("soup on the stove")
    update(saved, tmp_path / "more", cache=lite_cache)
    done = forget(saved, Chosen(sources=["more"]), cache=lite_cache)
    assert (done.items, done.gone, done.version) == (1, (), 3)
    assert remodal.load(saved, cache=lite_cache).lineage == before.lineage


@pytest.mark.parametrize(
    ("chosen", "said"),
    [
        (Chosen(classes=["text:worm"]), "unknown class 'text:worm'; did you mean 'text:warm'?"),
        (Chosen(sources=["nowhere"]), "unknown source 'nowhere'; "),
        (Chosen(files=[Path(__file__)]), "the model has learned nothing that holds the same"),
        (Chosen(files=[Path("absent.png")]), "absent.png: can't be read"),
        (Chosen(), "nothing is to be forgotten; valid: a class, a file or a source"),
    ],
)
def test_what_was_not_learned_cannot_be_forgotten(saved: Path, lite_cache: Path, chosen: Chosen, said: str) -> None:
    with pytest.raises(RemodalError) as refused:
        forget(saved, chosen, cache=lite_cache)
    assert said in str(refused.value)
    assert len(versions(saved)) == 1


def test_a_model_that_would_know_nothing_is_refused(saved: Path, lite_cache: Path) -> None:
    everything = [f"{column.modality}:{column.name}" for column in remodal.load(saved, cache=lite_cache).seen_]
    with pytest.raises(RemodalError, match="nothing that it has learned would be left"):
        forget(saved, Chosen(classes=everything), cache=lite_cache)


def test_features_that_are_gone_are_computed_again_from_the_files(
    folder: Path, graphs_only: Path, tmp_path: Path
) -> None:
    model = learned("nearest-mean", tasks(folder), graphs_only)
    saved = model.save(tmp_path / "model")
    with FeatureStore(graphs_only / "features") as store:
        store.clear()
    with pytest.raises(RemodalError, match="no longer in the cache .* valid: .* --data FOLDER"):
        forget(saved, Chosen(classes=["text:warm"]), cache=graphs_only)
    done = forget(saved, Chosen(classes=["text:warm"]), data=folder, cache=graphs_only)
    assert done.gone == (Column("text", "warm"),)


def test_models_whose_items_were_not_noted_say_so(folder: Path, lite_cache: Path) -> None:
    model = learned("nearest-mean", tasks(folder), lite_cache)
    model.learned_ = type(model.learned_)(model.learned_.columns, model.learned_.sources)
    with pytest.raises(RemodalError, match="found 0 of .* items noted"):
        model.without(torch.zeros(0, dtype=torch.bool))
