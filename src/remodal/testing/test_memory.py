"""What a method holds in memory."""

from __future__ import annotations

import torch

from remodal.settings import Settings
from remodal.streams.base import Column
from remodal.testing import ToyBackbone
from remodal.testing.checks.conftest import Honest
from remodal.testing.memory import held_bytes


def test_what_hangs_on_a_method_is_counted_with_the_storage_it_keeps_alive() -> None:
    method = Honest(ToyBackbone(), Settings(), 0)
    before = held_bytes(method)
    method.means[Column("image", "cat")] = torch.zeros(100, 24)[0]
    assert held_bytes(method) - before == 100 * 24 * 4
