from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from remodal.adaptation.class_sums import ClassSums

labels = st.lists(st.integers(0, 5), max_size=8)


@given(st.integers(0, 6), labels, labels)
def test_sums_are_those_of_all_items_and_what_was_there_stays(known: int, first: list[int], second: list[int]) -> None:
    draws = torch.Generator().manual_seed(0)
    before = torch.randn(known, 3, generator=draws)
    expected, untouched = torch.cat([before, torch.zeros(6 - known, 3)]), before.clone()
    sums = ClassSums.of(before)
    for own in (first, second):
        items = torch.randn(len(own), 3, generator=draws)
        sums = sums.added(items, torch.tensor(own, dtype=torch.int64), 6)
        for label, item in zip(own, items, strict=True):
            expected[label] += item
    torch.testing.assert_close(sums.whole(), expected)
    rows = torch.randn(2, 3, generator=draws)
    torch.testing.assert_close(sums.products(rows), rows @ expected.T)
    assert before.equal(untouched)


def test_nothing_is_copied_where_nothing_came() -> None:
    before = torch.ones(2, 3)
    assert ClassSums.of(before).whole() is before
