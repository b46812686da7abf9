"""Gaussian discriminants: what the formulas say, written out with whole matrices; and the same however items come."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from remodal.adaptation.discriminant import Discriminant
from remodal.streams.base import Column
from remodal.training.seeding import generator, normal

COLUMNS = [Column("image", name) for name in ("cat", "dog", "oak")]
WIDTH = 6


def items(count: int) -> tuple[Tensor, Tensor]:
    labels = torch.arange(count) % len(COLUMNS)
    means, mixing = (normal(k, WIDTH, draws=generator(k, "toy")) for k in (len(COLUMNS), WIDTH))
    return means[labels] + normal(count, WIDTH, draws=generator(0, "items")) @ mixing, labels


def dense(features: Tensor, labels: Tensor, asked: Tensor) -> Tensor:
    """``x.P m_c - m_c.P m_c / 2`` with ``P = d [(n - 1) S + tr(S) I]^-1``."""
    means = torch.stack([features[labels == label].mean(0) for label in range(len(COLUMNS))])
    covariance = torch.cov((features - means[labels]).T)
    inner = (len(features) - 1) * covariance + covariance.trace() * torch.eye(WIDTH)
    precision = WIDTH * torch.linalg.inv(inner)
    return asked @ precision @ means.T - (means @ precision * means).sum(1) / 2


def centred(scores: Tensor) -> Tensor:
    """Without what a row's scores share."""
    return scores - scores.mean(1, keepdim=True)


@pytest.mark.parametrize("count", [40, 5])
def test_it_is_what_whole_matrices_give(count: int) -> None:
    """Also with fewer items than features, where the covariance has no inverse."""
    features, labels = items(count)
    found = Discriminant.empty(WIDTH).with_items(features, labels, COLUMNS, rank=WIDTH)
    asked = normal(7, WIDTH, draws=generator(0, "asked"))
    expected = dense(features, labels, asked)
    torch.testing.assert_close(centred(found.scores(asked)), centred(expected), rtol=1e-3, atol=1e-3)


def test_items_may_come_in_any_order() -> None:
    """Classes one after the other, or again and again: the same means and scatter, as long as no direction is cut."""
    features, labels = items(40)
    whole = Discriminant.empty(WIDTH).with_items(features, labels, COLUMNS, rank=WIDTH)
    for parts in (torch.split(torch.arange(40), 7), [(labels == label).nonzero()[:, 0] for label in range(3)]):
        found = Discriminant.empty(WIDTH)
        for rows in parts:
            found = found.with_items(features[rows], labels[rows], COLUMNS, rank=WIDTH)
        torch.testing.assert_close(found.counts, whole.counts)
        torch.testing.assert_close(found.means, whole.means)
        torch.testing.assert_close(found.factor.T @ found.factor, whole.factor.T @ whole.factor, rtol=1e-4, atol=1e-3)


def test_one_item_a_class_is_enough_for_an_answer() -> None:
    """Nothing is known of the covariance: the nearest mean."""
    features, labels = items(3)
    scores = Discriminant.empty(WIDTH).with_items(features, labels, COLUMNS, rank=WIDTH).scores(features)
    assert scores.isfinite().all()
    assert scores.argmax(1).tolist() == [0, 1, 2]
