"""Validation items in place of test items, and few training items a class."""

from __future__ import annotations

from collections import Counter

from remodal.streams import Item, Stream, stream


def items(of: Stream, split: str) -> list[Item]:
    return [item for task in of for item in (task.train if split == "train" else task.test)]


def test_validation_measures_on_training_items_alone_and_shares_no_source_with_learning() -> None:
    whole, held_out = stream("everyday"), stream("everyday", validation=True)
    training = {item.id for item in items(whole, "train")}
    train, test = items(held_out, "train"), items(held_out, "test")
    assert {item.id for item in (*train, *test)} == training
    sources = ({(item.modality, item.group) for item in part if item.group} for part in (train, test))
    assert not set.intersection(*sources)
    share = len(test) / len(training)
    assert 0.2 < share < 0.35
    assert {task.classes for task in held_out} == {task.classes for task in whole}


def test_few_shot_keeps_so_many_training_items_a_class_and_every_test_item() -> None:
    whole, few = stream("everyday", seed=1), stream("everyday", seed=1, train_items=2)
    counts = Counter((item.modality, item.label) for item in items(few, "train"))
    assert set(counts.values()) == {2}
    assert items(few, "test") == items(whole, "test")
    assert [task.classes for task in few] == [task.classes for task in whole]


def test_few_shot_draws_from_the_seed() -> None:
    first, again, other = (items(stream("everyday", seed=seed, train_items=2), "train") for seed in (1, 1, 2))
    assert first == again
    assert {item.id for item in first} != {item.id for item in other}
