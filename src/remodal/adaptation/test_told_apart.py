"""Which features tell classes apart, by items that were left out."""

from __future__ import annotations

import torch

from remodal.adaptation.told_apart import confusion
from remodal.training.seeding import generator, normal


def test_features_of_the_classes_confuse_less_than_features_of_chance() -> None:
    labels = torch.arange(12) % 3
    chance = normal(12, 50, draws=generator(0, "chance"))
    telling = chance + 3 * torch.eye(3, 50)[labels]
    assert confusion(telling, labels).mean() < 0.5 * confusion(chance, labels).mean()


def test_many_features_of_chance_are_not_mistaken_for_knowledge() -> None:
    """A regression on more features than items fits every label; left out, no item is known."""
    labels = torch.arange(20) % 2
    chance = normal(20, 500, draws=generator(0, "chance"))
    assert float(confusion(chance, labels).mean()) > 0.45  # one half: the error of an even guess


def test_an_item_alone_in_its_class_is_an_error_of_about_one() -> None:
    labels = torch.tensor([0, 0, 0, 0, 1])
    features = torch.tensor([[0.0], [0.1], [-0.1], [0.0], [5.0]])
    assert confusion(features, labels)[4] > 1
