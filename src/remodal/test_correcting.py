"""A saved model is corrected, and is then the one that was never taught what was wrong."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import remodal
from remodal.correcting import Forget, Relabel, correct
from remodal.errors import RemodalError
from remodal.features.store import FeatureStore
from remodal.model import Model
from remodal.saved import Marked, versions
from remodal.streams.base import Column, Item, Task
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
    forgotten = Forget(files=[folder / name for name in some])
    left = whole.without(forgotten.among(whole))
    assert same(left, learned(method, tasks(folder, but=some), lite_cache, **settings))
    assert same(whole, learned(method, tasks(folder), lite_cache, **settings))  # and isn't changed


def test_a_file_that_was_learned_twice_is_forgotten_twice(folder: Path, lite_cache: Path) -> None:
    (first, *_) = tasks(folder)
    twice = learned("nearest-mean", [first, first], lite_cache)
    chosen = Forget(files=[folder / first.train[0].id]).among(twice)
    assert chosen.learned.nonzero()[:, 0].tolist() == [0, len(first.train)]


def test_a_class_goes_with_what_is_held_out_of_it(saved: Path, lite_cache: Path) -> None:
    before = remodal.load(saved, cache=lite_cache)
    done = correct(saved, Forget(classes=["text:warm"]), cache=lite_cache)
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
    done = correct(saved, Forget(sources=["more"]), cache=lite_cache)
    assert (done.items, done.gone, done.version) == (1, (), 3)
    assert remodal.load(saved, cache=lite_cache).lineage == before.lineage


@pytest.mark.parametrize(
    ("chosen", "said"),
    [
        (Forget(classes=["text:worm"]), "unknown class 'text:worm'; did you mean 'text:warm'?"),
        (Forget(sources=["nowhere"]), "unknown source 'nowhere'; "),
        (Forget(files=[Path(__file__)]), "the model has learned nothing that holds the same"),
        (Forget(files=[Path("absent.png")]), "absent.png: can't be read"),
        (Forget(), "nothing is to be forgotten; valid: a class, a file or a source"),
    ],
)
def test_what_was_not_learned_cannot_be_forgotten(saved: Path, lite_cache: Path, chosen: Forget, said: str) -> None:
    with pytest.raises(RemodalError) as refused:
        correct(saved, chosen, cache=lite_cache)
    assert said in str(refused.value)
    assert len(versions(saved)) == 1


def test_a_model_that_would_know_nothing_is_refused(saved: Path, lite_cache: Path) -> None:
    everything = [f"{column.modality}:{column.name}" for column in remodal.load(saved, cache=lite_cache).seen_]
    with pytest.raises(RemodalError, match="nothing that it has learned would be left"):
        correct(saved, Forget(classes=everything), cache=lite_cache)


def test_features_that_are_gone_are_computed_again_from_the_files(
    folder: Path, graphs_only: Path, tmp_path: Path
) -> None:
    model = learned("nearest-mean", tasks(folder), graphs_only)
    saved = model.save(tmp_path / "model")
    with FeatureStore(graphs_only / "features") as store:
        store.clear()
    with pytest.raises(RemodalError, match="no longer in the cache .* valid: .* --data FOLDER"):
        correct(saved, Forget(classes=["text:warm"]), cache=graphs_only)
    done = correct(saved, Forget(classes=["text:warm"]), data=folder, cache=graphs_only)
    assert done.gone == (Column("text", "warm"),)


def test_models_whose_items_were_not_noted_say_so(folder: Path, lite_cache: Path) -> None:
    model = learned("nearest-mean", tasks(folder), lite_cache)
    model.learned_ = type(model.learned_)(model.learned_.columns, model.learned_.sources)
    with pytest.raises(RemodalError, match="found 0 of .* items noted"):
        model.without(Marked(torch.zeros(0, dtype=torch.bool), {}))


def renamed(of: list[Task], files: frozenset[str], name: str) -> list[Task]:
    """Tasks in which these items have that label; its class stands behind the one that the first of them leaves."""
    found = []
    for task in of:
        train = tuple(replace(item, label=name) if item.id in files else item for item in task.train)
        classes = list(task.classes)
        for before, now in zip(task.train, train, strict=True):
            if now.label not in classes:
                classes.insert(classes.index(before.label) + 1, now.label)
        labels = {item.label for item in train}
        left = tuple(one for one in classes if one in labels)
        test = tuple(item for item in task.test if item.label in left)
        found.append(Task(task.index, task.modality, left, train, test))
    return found


@pytest.mark.parametrize(
    ("method", "settings"), [("remodal", {}), ("nearest-mean", {}), ("comm", {"steps": 2, "realign_steps": 2})]
)
@pytest.mark.parametrize("name", ["warm", "hot"])
def test_a_relabelled_model_is_the_one_that_was_taught_right(
    folder: Path, lite_cache: Path, method: str, settings: dict[str, object], name: str
) -> None:
    whole = learned(method, tasks(folder), lite_cache, **settings)
    wrong = frozenset(item.id for task in tasks(folder) for item in task.train if item.label == "cold")
    some = frozenset(sorted(wrong)[::2])
    right = whole.relabelled(Relabel([folder / one for one in some], name).among(whole), name)
    assert same(right, learned(method, renamed(tasks(folder), some, name), lite_cache, **settings))
    assert right.seen_ == learned(method, renamed(tasks(folder), some, name), lite_cache, **settings).seen_


def test_a_class_whose_every_item_is_renamed_has_its_place(folder: Path, lite_cache: Path) -> None:
    whole = learned("nearest-mean", tasks(folder), lite_cache)
    files = [folder / item.id for task in tasks(folder) for item in task.train if item.label == "cold"]
    right = whole.relabelled(Relabel(files, "chilly").among(whole), "chilly")
    assert [one.name.replace("chilly", "cold") for one in right.seen_] == [one.name for one in whole.seen_]
    assert Column("text", "cold") not in right.seen_


def test_an_item_that_was_held_out_under_the_wrong_name_moves_too(saved: Path, folder: Path, lite_cache: Path) -> None:
    before = remodal.load(saved, cache=lite_cache)
    (held,) = [task.test[0].id for task in tasks(folder) if task.modality == "text"]
    label, other = ("cold", "warm") if held.startswith("text/cold") else ("warm", "cold")
    done = correct(saved, Relabel([folder / held], other), cache=lite_cache)
    after = remodal.load(saved, cache=lite_cache)
    was, now = (model.learned_.held_out.counts("text") for model in (before, after))
    assert (done.items, done.held_out) == (0, 1)
    assert (now[label], now[other]) == (was[label] - 1, was[other] + 1)
    assert after.lineage == before.lineage
    # of a class of which nothing was learned nothing is held out
    correct(saved, Relabel([folder / held], "unheard of"), cache=lite_cache)
    assert remodal.load(saved, cache=lite_cache).learned_.held_out.counts("text") == was - Counter({label: 1})


def test_an_item_that_is_held_out_is_forgotten_too(saved: Path, folder: Path, lite_cache: Path) -> None:
    before = remodal.load(saved, cache=lite_cache)
    (held,) = [task.test[0].id for task in tasks(folder) if task.modality == "audio"]
    done = correct(saved, Forget(files=[folder / held]), cache=lite_cache)
    after = remodal.load(saved, cache=lite_cache)
    assert (done.items, done.held_out, after.lineage) == (0, 1, before.lineage)
    assert after.learned_.held_out.counts("audio").total() == before.learned_.held_out.counts("audio").total() - 1
    with pytest.raises(RemodalError, match="learned nothing that holds the same"):
        correct(saved, Forget(files=[folder / held]), cache=lite_cache)


def test_a_file_with_two_labels_or_none_is_told_in_one_line(folder: Path, lite_cache: Path, tmp_path: Path) -> None:
    text = next(task for task in tasks(folder) if task.modality == "text")
    first, *_, last = text.train
    both = learned("nearest-mean", [text, renamed([text], frozenset({first.id}), last.label)[0]], lite_cache)
    assert first.label != last.label
    saved = both.save(tmp_path / "model")
    for files, name, said in (
        ([folder / first.id], "hot", "the model has learned it as text:cold and text:warm; valid: a file of one class"),
        ([folder / last.id], last.label, f"is of the class text:{last.label} already"),
        ([folder / last.id], "text:hot", "found 'text:hot'; valid: 'hot', since a file stays in its modality"),
        ([folder / last.id], "image:hot", "found 'image:hot'; valid: 'hot', since a file stays in its modality"),
        ([folder / last.id], " ", "found a blank label; valid: the name of a class"),
        ([Path(__file__)], "hot", "the model has learned nothing that holds the same"),
        ([], "hot", "nothing is to be relabelled"),
    ):
        with pytest.raises(RemodalError) as refused:
            correct(saved, Relabel(files, name), cache=lite_cache)
        assert said in str(refused.value)
    assert len(versions(saved)) == 1
