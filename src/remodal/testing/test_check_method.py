"""All checks together: an honest method passes, and every failure is told."""

from __future__ import annotations

import pytest

from remodal.settings import Settings
from remodal.testing import CHECKS, Candidate, check_method
from remodal.testing.checks import (
    test_answering,
    test_asking,
    test_data,
    test_device,
    test_dividing,
    test_needing,
    test_repeating,
)
from remodal.testing.checks.conftest import Honest, broken_in


def test_there_is_a_broken_method_for_every_check() -> None:
    files = (test_answering, test_asking, test_repeating, test_data, test_device, test_needing, test_dividing)
    assert {broken.check for file in files for broken in broken_in(file.__name__)} == set(CHECKS)


def test_an_honest_method_passes_them_all() -> None:
    check_method(Honest)


def test_all_failures_are_reported_together() -> None:
    class Twice(test_data.KeepsItems, test_repeating.ForgetsItsGenerator):
        pass

    with pytest.raises(AssertionError) as failure:
        check_method(Twice)
    lines = str(failure.value).splitlines()
    assert all(line.startswith("Twice fails ") for line in lines)
    assert {"follows-its-seed", "stores-no-items"} <= {line.split()[2].rstrip(":") for line in lines}


def test_settings_are_quick_unless_given() -> None:
    class Options(Settings):
        epochs: int = 20
        learning_rate: float = 1e-3
        realign_steps: int = 600
        scaling: float = 2.0

    class Tuned(Honest):
        options = Options

    assert Candidate.of(Tuned).settings == Options(epochs=3, learning_rate=0.1, realign_steps=12)
    assert Candidate.of(Tuned, {"epochs": 5}).settings == Options(epochs=5, learning_rate=0.1, realign_steps=12)
