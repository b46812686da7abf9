"""What holds for every registered method: a new one is tested by being registered."""

from __future__ import annotations

import pytest

from remodal.methods import methods
from remodal.testing import CHECKS, Candidate


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("name", methods.names())
def test_a_method_conforms(name: str, check: str) -> None:
    CHECKS[check](Candidate.of(methods.get(name)))


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("name", ["remodal", "joint"])
def test_a_method_conforms_that_adapts_as_it_does_on_a_transformer(name: str, check: str) -> None:
    CHECKS[check](Candidate.of(methods.get(name), {"adapt": True, "steps": 6, "learning_rate": 0.1}))


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("name", ["joint-comm", "joint-l2p"])
def test_a_method_conforms_that_is_fitted_to_all_items(name: str, check: str) -> None:
    CHECKS[check](Candidate.of(methods.get(name)))
