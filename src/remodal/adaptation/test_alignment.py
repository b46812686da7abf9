"""The alignment that learns where nothing else does."""

from __future__ import annotations

import torch

from remodal.adaptation.alignment import Head, aligned
from remodal.testing import ToyBackbone

TOWER = ToyBackbone().tower("image")
FEATURES = torch.randn(6, 24, generator=torch.Generator().manual_seed(0))
LABELS = torch.tensor([0, 0, 0, 1, 1, 1])
ANCHORS = ToyBackbone().anchors(["cat", "dog"])


def head(size: float) -> Head:
    """Of the items with features ``size`` times as large."""
    return Head.alone(TOWER, size * FEATURES, torch.zeros(8, 24), ANCHORS, LABELS)


def test_a_step_means_the_same_however_large_features_are() -> None:
    small, large = head(1.0), head(7.0)
    step = torch.randn(24, 8, generator=torch.Generator().manual_seed(1))  # in all features; each basis has its signs
    before = small.embedded(FEATURES, small.basis.T @ step)
    found = large.embedded(7 * FEATURES, large.basis.T @ step)
    torch.testing.assert_close(found, before, atol=1e-4, rtol=1e-4)


def test_what_was_learned_is_an_adapter() -> None:
    one = head(1.0)
    step = torch.randn(one.start().shape, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(
        aligned(TOWER, one.learned(step), FEATURES), one.embedded(FEATURES, step), atol=1e-5, rtol=1e-5
    )
