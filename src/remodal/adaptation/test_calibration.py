"""The sharpness and the weight of names that make items likeliest."""

from __future__ import annotations

import torch

from remodal.adaptation.calibration import NAMING, SHARPNESS, STRENGTHS, Calibration

LABELS = torch.arange(40) % 4
RIGHT = torch.nn.functional.one_hot(LABELS, 4).float()
NOISE = torch.randn(40, 4, generator=torch.Generator().manual_seed(0))


def test_names_count_as_far_as_they_help() -> None:
    empty = Calibration.empty()
    assert empty.added(RIGHT[None], LABELS, NOISE).naming == 0
    assert empty.added(0.1 * NOISE[None], LABELS, RIGHT).naming == max(NAMING)


def test_outputs_that_are_sure_and_right_are_sharpened_and_those_that_are_wrong_are_not() -> None:
    empty = Calibration.empty()
    assert empty.added(0.3 * RIGHT[None], LABELS, NOISE).sharpness == max(SHARPNESS)
    assert empty.added(NOISE[None], LABELS, NOISE).sharpness == min(SHARPNESS)


def test_items_add_up_whatever_comes_first() -> None:
    first, rest = slice(0, 15), slice(15, 40)
    parts = [((NOISE[part] + RIGHT[part])[None], LABELS[part], NOISE[part].flip(1)) for part in (first, rest)]
    one = Calibration.empty().added(*parts[0]).added(*parts[1])
    other = Calibration.empty().added(*parts[1]).added(*parts[0])
    torch.testing.assert_close(one.losses, other.losses)


def test_the_penalty_is_the_one_whose_outputs_make_items_likeliest() -> None:
    outputs = torch.stack([NOISE, NOISE, 0.3 * RIGHT, NOISE + RIGHT, NOISE])
    found = Calibration.empty(len(STRENGTHS)).added(outputs, LABELS, NOISE)
    assert found.strength == 2
    assert found.sharpness == max(SHARPNESS)  # as sure as its own outputs allow, not as the others'


def test_sums_of_one_penalty_of_earlier_versions_are_taken_on() -> None:
    before = torch.rand(len(NAMING), len(SHARPNESS))
    now = Calibration(**Calibration.earlier({"losses": before}))
    assert now.losses.shape == Calibration.empty().losses.shape
    assert (now.sharpness, now.strength) == (SHARPNESS[int(before[0].argmin())], 0)
