"""For tests of methods: a toy backbone, a toy stream, and the checks that every continual-learning method must pass.

from remodal.testing import check_method

check_method(MyMethod)
"""

from __future__ import annotations

from remodal.testing.candidate import Candidate
from remodal.testing.checks import CHECKS, check_method
from remodal.testing.toy import ToyBackbone, ToyEncoder, toy_stream

__all__ = ["CHECKS", "Candidate", "ToyBackbone", "ToyEncoder", "check_method", "toy_stream"]
