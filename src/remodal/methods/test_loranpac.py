"""LoRanPAC keeps directions for three quarters of the items, and no more than it may."""

from __future__ import annotations

import pytest

from remodal.methods import methods
from remodal.methods.loranpac import Loranpac
from remodal.testing import Candidate, toy_stream

ITEMS = 8


@pytest.mark.parametrize(("rank", "kept"), [(100, [12, 24]), (20, [12, 20])])
def test_a_quarter_of_the_directions_is_cut(rank: int, kept: list[int]) -> None:
    tasks = toy_stream([("image", ("cat", "dog")), ("audio", ("bell", "dog"))], items=ITEMS).tasks
    candidate = Candidate.of(methods.get("loranpac"), {"rank": rank})
    for count, expected in enumerate(kept, start=1):
        method = candidate.learned(tasks[:count])
        assert isinstance(method, Loranpac)
        part = method.parts_["vision"]
        assert part.seen == 2 * ITEMS * count
        assert len(part.svd.scales) == expected
