"""Rounding doesn't decide what a method learns: sums in another order, as on another device, leave its scores."""

from __future__ import annotations

from contextlib import nullcontext

import pytest
import torch
from torch import Tensor

from remodal.methods import methods
from remodal.methods.coda_prompt import orthogonalised
from remodal.testing import Candidate, toy_stream
from remodal.testing.candidate import apart, held_out_scores, learn
from remodal.testing.rounding import OtherRounding

STREAM = toy_stream(items=8, alignment=1.0)


def scores(name: str, rounding: int | None) -> Tensor:
    method = Candidate.of(methods.get(name)).new()
    with nullcontext() if rounding is None else OtherRounding(rounding):
        learn(method, STREAM.tasks)
        return held_out_scores(method, STREAM)


@pytest.mark.parametrize(
    "name",
    [
        *("bofa", "cmcl", "comm", "engine", "fecam", "first-session", "gda-names", "loranpac", "pathweave"),
        *("per-modality", "rapf", "remodal"),
    ],
)
def test_what_is_drawn_and_fused_does_not_depend_on_rounding(name: str) -> None:
    expected = scores(name, None)
    assert max(apart(scores(name, seed), expected, relative=True) for seed in (0, 1)) < 1e-3


def test_components_beyond_the_width_keep_their_direction() -> None:
    draws = torch.Generator().manual_seed(0)
    rows = torch.randn(5, 1, 3, generator=draws)
    (found,) = orthogonalised(rows, torch.zeros(0, 1, 3)).unbind(1)
    torch.testing.assert_close(found[:3] @ found[:3].T, torch.eye(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(found[3:], torch.nn.functional.normalize(rows[3:, 0]))
