"""A decomposition of rows that stream is that of all rows at once, but for what is cut."""

from __future__ import annotations

import torch

from remodal.adaptation.truncated_svd import TruncatedSvd
from remodal.training.seeding import generator, normal

WIDTH = 30


def streamed(rows: torch.Tensor, at_once: int, rank: int) -> TruncatedSvd:
    found = TruncatedSvd.empty(WIDTH)
    for some in torch.split(rows, at_once):
        found = found.added(some, rank)
    return found


def test_uncut_it_is_the_decomposition_of_all_rows() -> None:
    rows = normal(20, WIDTH, draws=generator(0, "rows"))
    _, scales, directions = torch.linalg.svd(rows.double(), full_matrices=False)
    found = streamed(rows, 6, WIDTH)
    torch.testing.assert_close(found.scales, scales, rtol=1e-5, atol=0)
    torch.testing.assert_close((found.directions @ directions.T.float()).abs(), torch.eye(20), rtol=0, atol=1e-4)


def test_cut_once_it_keeps_the_leading_directions() -> None:
    rows = normal(20, WIDTH, draws=generator(0, "rows"))
    _, scales, directions = torch.linalg.svd(rows, full_matrices=False)
    found = TruncatedSvd.empty(WIDTH).added(rows, 5)
    kept = directions[:5].T @ (scales[:5, None] * directions[:5])
    torch.testing.assert_close(found.directions.T @ (found.scales.float()[:, None] * found.directions), kept)


def test_weights_are_the_smallest_that_fit() -> None:
    """As by the pseudo-inverse, where rows are fewer than the width."""
    rows, targets = (normal(20, k, draws=generator(k, "rows")) for k in (WIDTH, 3))
    found = streamed(rows, 6, WIDTH).least_squares(rows.T @ targets)
    torch.testing.assert_close(found, torch.linalg.pinv(rows) @ targets, rtol=1e-3, atol=1e-4)


def test_rows_that_say_nothing_new_add_no_direction() -> None:
    """Neither the same rows again, nor rows of zeros, nor more rows than the width has room for."""
    rows = normal(20, WIDTH, draws=generator(0, "rows"))
    again = streamed(torch.cat([torch.zeros(5, WIDTH), rows, rows[:7]]), 8, 100)
    assert len(again.scales) == 20
    many = streamed(normal(200, WIDTH, draws=generator(1, "rows")), 50, 100)
    assert len(many.scales) == WIDTH
    for found in (again, many):
        kept = torch.eye(len(found.scales))
        torch.testing.assert_close(found.directions @ found.directions.T, kept, rtol=0, atol=1e-5)
