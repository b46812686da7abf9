"""What holds for every registered method: a new one is tested by being registered."""

from __future__ import annotations

import pytest

from remodal.methods import methods
from remodal.testing import CHECKS, Candidate


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("name", methods.names())
def test_a_method_conforms(name: str, check: str) -> None:
    CHECKS[check](Candidate.of(methods.get(name)))
