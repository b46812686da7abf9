"""The sharpness and the weight of names that make items likeliest."""

from __future__ import annotations

import torch

from remodal.adaptation.calibration import NAMING, SHARPNESS, Calibration

LABELS = torch.arange(40) % 4
RIGHT = torch.nn.functional.one_hot(LABELS, 4).float()
NOISE = torch.randn(40, 4, generator=torch.Generator().manual_seed(0))


def test_names_count_as_far_as_they_help() -> None:
    empty = Calibration.empty()
    assert empty.added(RIGHT, NOISE, LABELS).naming == 0
    assert empty.added(0.1 * NOISE, RIGHT, LABELS).naming == max(NAMING)


def test_outputs_that_are_sure_and_right_are_sharpened_and_those_that_are_wrong_are_not() -> None:
    empty = Calibration.empty()
    assert empty.added(0.3 * RIGHT, NOISE, LABELS).sharpness == max(SHARPNESS)
    assert empty.added(NOISE, NOISE, LABELS).sharpness == min(SHARPNESS)


def test_items_add_up_whatever_comes_first() -> None:
    first, rest = slice(0, 15), slice(15, 40)
    parts = [(NOISE[part] + RIGHT[part], NOISE[part].flip(1), LABELS[part]) for part in (first, rest)]
    one = Calibration.empty().added(*parts[0]).added(*parts[1])
    other = Calibration.empty().added(*parts[1]).added(*parts[0])
    torch.testing.assert_close(one.losses, other.losses)
