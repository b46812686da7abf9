"""The pooling of a graph does what the pooling of towers does."""

from __future__ import annotations

import pytest
import torch

from remodal.backbones.any_length import AnyLengthPooling
from remodal.backbones.pooling import ClipPooling
from remodal.training.seeding import generator


@pytest.mark.parametrize("frames", [1, 2, 3, 8, 64])
def test_clips_of_any_length_have_the_features_that_towers_give_them(frames: int) -> None:
    pooling = ClipPooling((3, 5), head=4)
    tokens = torch.randn(2, frames, 4, 12, generator=generator(0, "clips"))
    torch.testing.assert_close(AnyLengthPooling(pooling)(tokens), pooling(tokens), rtol=0, atol=1e-6)


def test_a_clip_that_stands_still_has_finite_features() -> None:
    still = torch.ones(1, 1, 4, 12).expand(1, 6, 4, 12)
    pooling = ClipPooling((3, 5), head=4)
    torch.testing.assert_close(AnyLengthPooling(pooling)(still), pooling(still), rtol=0, atol=1e-6)
