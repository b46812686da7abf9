"""Statistics that stream, and the pseudo-features that are drawn from them."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from remodal.adaptation.statistics import ClassStatistics, leading, orthonormal, pseudo_features
from remodal.testing.rounding import OtherRounding


def sample(count: int, width: int, seed: int) -> torch.Tensor:
    draws = torch.Generator().manual_seed(seed)
    return torch.randn(count, width, generator=draws) @ torch.randn(width, width, generator=draws)


def test_means_and_covariance_by_hand() -> None:
    items = torch.tensor([[0.0, 0.0], [2.0, 0.0], [5.0, 1.0], [5.0, 3.0]])
    statistics = ClassStatistics.empty(width=2, rank=2).added(items, torch.tensor([0, 0, 1, 1]), ["a", "b"])
    assert statistics.means.tolist() == [[1.0, 0.0], [5.0, 2.0]]
    # deviations (+-1, 0) and (0, +-1), two degrees of freedom
    torch.testing.assert_close(statistics.factor.T @ statistics.factor, torch.eye(2))


@given(cut=st.integers(1, 3), seed=st.integers(0, 100))
@settings(max_examples=20, deadline=None)
def test_streaming_equals_all_at_once(cut: int, seed: int) -> None:
    """Whatever the tasks are, means and covariance are those of all items together."""
    features, labels = sample(40, 6, seed), torch.arange(40) % 4
    names = ["a", "b", "c", "d"]
    streamed = ClassStatistics.empty(6, rank=6)
    whole = streamed.added(features, labels, names)
    for part in (names[:cut], names[cut:]):
        mine = torch.tensor([names[label] in part for label in labels])
        relative = torch.tensor([part.index(names[label]) for label in labels[mine]])
        streamed = streamed.added(features[mine], relative, part)
    torch.testing.assert_close(streamed.means, whole.means)
    torch.testing.assert_close(streamed.factor.T @ streamed.factor, whole.factor.T @ whole.factor, atol=1e-3, rtol=1e-3)


def test_a_class_that_returns_refines_its_mean() -> None:
    once = ClassStatistics.empty(1, rank=1).added(torch.tensor([[0.0], [2.0]]), torch.tensor([0, 0]), ["a"])
    twice = once.added(torch.tensor([[7.0]]), torch.tensor([0]), ["a"])
    assert once.means.tolist() == [[1.0]]
    assert twice.means.tolist() == [[3.0]]
    assert twice.counts.tolist() == [3.0]


def test_pseudo_features_match_the_stored_mean_and_covariance() -> None:
    statistics = ClassStatistics.empty(5, rank=5).added(sample(60, 5, 1), torch.arange(60) % 2, ["a", "b"])
    draws = torch.Generator().manual_seed(0)
    features, labels = pseudo_features(statistics.means, statistics.factor, 40_000, draws)
    expected = statistics.factor.T @ statistics.factor
    for index in range(2):
        own = features[labels == index]
        torch.testing.assert_close(own.mean(0), statistics.means[index], atol=0.1, rtol=0.02)
        torch.testing.assert_close(torch.cov(own.T), expected, atol=0.3, rtol=0.05)


def test_the_kept_directions_are_the_leading_ones() -> None:
    features = (
        torch.diag(torch.tensor([9.0, 3.0, 1.0])).repeat(2, 1) * torch.tensor([1.0, -1.0]).repeat_interleave(3)[:, None]
    )
    statistics = ClassStatistics.empty(3, rank=2).added(features, torch.zeros(6, dtype=torch.int64), ["a"])
    assert statistics.factor.shape == (2, 3)
    assert statistics.factor[:, 2].abs().max() < 1e-5


def test_a_basis_is_orthonormal_and_spans_its_rows() -> None:
    rows = sample(3, 8, 2)
    basis = orthonormal(torch.cat([rows, rows[:1] + rows[1:2]]))
    torch.testing.assert_close(basis.T @ basis, torch.eye(3), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(rows @ basis @ basis.T, rows, atol=1e-3, rtol=1e-3)


def test_rounding_neither_adds_nor_turns_a_direction() -> None:
    rows = sample(9, 4, 5) @ torch.randn(4, 20, generator=torch.Generator().manual_seed(0))
    expected = leading([rows], 9)
    assert len(expected) == 4
    for seed in range(3):
        with OtherRounding(seed):
            found = leading([rows], 9)
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)


def test_leading_directions_of_many_rows_are_found_block_by_block() -> None:
    draws = torch.Generator().manual_seed(0)
    rows = torch.randn(3000, 700, generator=draws) * torch.logspace(0, -2, 700)
    values, vectors = torch.linalg.eigh(rows.double().T @ rows.double())
    found = leading([rows], 20)
    expected = (vectors[:, -20:] * values[-20:]) @ vectors[:, -20:].T
    assert found.shape == (20, 700)
    torch.testing.assert_close(found.T @ found, expected.float(), atol=1e-3 * float(values[-1]), rtol=0)
