"""What must hold for every continual-learning method: seventeen checks, each a function of the method under test.

A check that fails raises AssertionError with one sentence: the method, the check, what was found, what is expected. One
that doesn't apply raises :class:`unittest.SkipTest` with the reason, which test runners show as a skipped test.
"""

from __future__ import annotations

from collections.abc import Mapping
from unittest import SkipTest

from remodal.methods.base import Method
from remodal.testing.candidate import Candidate
from remodal.testing.checks import answering, asking, data, device, dividing, needing, repeating
from remodal.testing.checks.check import CHECKS

__all__ = ["CHECKS", "answering", "asking", "check_method", "data", "device", "dividing", "needing", "repeating"]


def check_method(method: type[Method], settings: Mapping[str, object] | None = None) -> None:
    """Run all checks on ``method``; AssertionError with one line for each that fails.

    settings: the method's own, by name; known ones (``epochs``, ``learning_rate``, ...) are made quick by default.
    """
    candidate, failures = Candidate.of(method, settings), []
    for check in CHECKS.values():
        try:
            check(candidate)
        except SkipTest:
            pass
        except AssertionError as failure:
            failures.append(str(failure))
    if failures:
        raise AssertionError("\n".join(failures))
