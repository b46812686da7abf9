from __future__ import annotations

import math

import torch
from torch import Tensor

from remodal.adaptation.rows import Rows
from remodal.adaptation.selectors import Gaussian, NearestCentre, Selector, Subspace
from remodal.backbones import Tokens


def rows(features: Tensor) -> Rows:
    """Features ``[n, width]`` as a task's items have them."""
    tokens = Tokens("toy", features[:, None], torch.ones(len(features), dtype=torch.int64))
    return Rows(tokens, lambda some: some.frames[:, 0])


def test_of_centres_the_nearest_counts() -> None:
    centres = NearestCentre(torch.tensor([[0.0, 0.0], [3.0, 1.0]]))
    assert centres.fit(torch.tensor([[1.0, 0.0], [3.0, 3.0]])).tolist() == [-1.0, -2.0]


def test_centres_lie_where_items_do() -> None:
    places = torch.tensor([[0.0, 0.0], [0.0, 2.0], [10.0, 0.0], [10.0, 2.0]])
    found = NearestCentre.of(rows(places), 2, torch.Generator().manual_seed(1)).centres
    assert sorted(found.tolist()) in ([[0.0, 1.0], [10.0, 1.0]], [[5.0, 0.0], [5.0, 2.0]])  # both are at rest


def test_a_gaussian_says_its_density() -> None:
    gaussian = Gaussian(torch.tensor([1.0, 0.0]), torch.tensor([4.0, 1.0]))
    log_density = math.log(math.exp(-0.5 * (1.0 + 4.0)) / (2 * math.pi * 2.0))  # at (3, 2): both 1 and 2 deviations off
    torch.testing.assert_close(gaussian.fit(torch.tensor([[3.0, 2.0]])), torch.tensor([log_density / 2]))


def test_its_variances_are_drawn_toward_their_mean() -> None:
    found = Gaussian.of(rows(torch.tensor([[0.0, 5.0], [2.0, 5.0]])))
    torch.testing.assert_close(found.mean, torch.tensor([1.0, 5.0]))
    torch.testing.assert_close(found.variance, torch.tensor([0.99 * 1.0 + 0.01 * 0.5, 0.01 * 0.5]))


def test_what_lies_outside_a_subspace_is_its_error() -> None:
    subspace = Subspace.of(rows(torch.tensor([[1.0, 0.0, 7.0], [-1.0, 0.0, 7.0]])), 1)
    assert subspace.fit(torch.tensor([[5.0, 0.0, 7.0], [0.0, 2.0, 10.0]])).tolist() == [0.0, -13.0]


def test_each_finds_the_task_that_an_item_comes_from() -> None:
    draws = torch.Generator().manual_seed(0)
    tasks = [rows(centre + 0.3 * torch.randn(40, 6, generator=draws)) for centre in torch.eye(2, 6)]
    kinds: list[list[Selector]] = [
        [NearestCentre.of(task, 3, draws) for task in tasks],
        [Gaussian.of(task) for task in tasks],
        [Subspace.of(task, 2) for task in tasks],
    ]
    for selectors in kinds:
        for index, task in enumerate(tasks):
            best = torch.stack([one.fit(task[:]) for one in selectors], dim=1).argmax(1)
            assert (best == index).float().mean() > 0.85
