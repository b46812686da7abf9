"""Modalities that lie in several places each."""

from __future__ import annotations

import torch
from torch import Tensor

from remodal.adaptation.class_router import ClassRouter
from remodal.streams.base import Column

COLUMNS = [Column(modality, str(place)) for place, modality in enumerate(("image", "audio", "image", "audio"))]


def items(columns: list[Column], each: int = 30, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Items of classes that lie one after the other in one direction, among others that say nothing; and labels."""
    labels = torch.arange(len(columns)).repeat_interleave(each)
    places = torch.tensor([float(column.name) for column in columns])[labels]
    noise = 0.2 * torch.randn(len(labels), 6, generator=torch.Generator().manual_seed(seed))
    bumps = (-(places[:, None] - torch.arange(4)).square()).exp()
    return torch.cat([places[:, None], bumps, noise], dim=1), labels


def learned(*tasks: list[Column]) -> ClassRouter:
    """After these classes' items."""
    router = ClassRouter.empty(11)
    for columns in tasks:
        router = router.learned(*items(columns), columns)
    return router


def test_a_modality_on_both_sides_of_another_is_found() -> None:
    router = learned(COLUMNS[:2], COLUMNS[2:])
    asked, labels = items(COLUMNS, seed=1)
    found = router.log_probability(asked)
    image = torch.tensor([COLUMNS[label].modality == "image" for label in labels.tolist()])
    assert ((found["image"] > found["audio"]) == image).float().mean() > 0.9


def test_likelihoods_of_all_modalities_add_up_to_one() -> None:
    found = learned(COLUMNS).log_probability(items(COLUMNS)[0])
    torch.testing.assert_close(torch.stack(list(found.values())).exp().sum(0), torch.ones(120))


def test_a_class_that_comes_again_is_the_same_class() -> None:
    router = learned(COLUMNS, COLUMNS)
    assert router.columns == COLUMNS
    torch.testing.assert_close(router.moments.sums, 2 * learned(COLUMNS).moments.sums)


def test_of_one_modality_nothing_is_in_doubt() -> None:
    found = learned(COLUMNS[::2]).log_probability(items(COLUMNS)[0])
    torch.testing.assert_close(found["image"], torch.zeros(120), atol=1e-5, rtol=0)


def test_where_modalities_lie_apart_and_classes_do_not_the_sum_of_outputs_counts() -> None:
    labels = torch.arange(4).repeat_interleave(30)
    image = torch.tensor([column.modality == "image" for column in COLUMNS])[labels].float()
    noise = 0.3 * torch.randn(len(labels), 11, generator=torch.Generator().manual_seed(0))
    router = ClassRouter.empty(11).learned(
        torch.cat([image[:, None], torch.zeros(120, 10)], 1) + noise, labels, COLUMNS
    )
    assert router.apart > learned(COLUMNS).apart == 0
