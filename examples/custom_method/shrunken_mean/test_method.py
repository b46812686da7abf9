"""The checks that every method must pass, one test each; ``check_method(ShrunkenMean)`` runs them all at once."""

from __future__ import annotations

import pytest

from remodal.testing import CHECKS, Candidate

from .method import ShrunkenMean


@pytest.mark.parametrize("check", CHECKS)
def test_it_conforms(check: str) -> None:
    CHECKS[check](Candidate.of(ShrunkenMean))
