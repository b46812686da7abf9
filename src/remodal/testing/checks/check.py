"""What a check is: a function of the method under test, whose failures are one sentence each."""

from __future__ import annotations

from collections.abc import Callable, Sequence, Set
from functools import wraps
from unittest import SkipTest

import torch
from torch import Tensor

from remodal.backbones import Tokens
from remodal.learning.evaluate import best
from remodal.learning.prepare import PreparedStream
from remodal.methods.base import Method, readable
from remodal.streams.base import Column
from remodal.testing.candidate import Candidate, apart
from remodal.testing.toy import toy_stream

Check = Callable[[Candidate], None]
CHECKS: dict[str, Check] = {}
"""All checks by name."""

CLOSE = 1e-4
"""How far scores of one item may lie apart, computed in different company; of large ones, relative to their size."""


def check(function: Check) -> Check:
    """Add ``function`` to :data:`CHECKS`; its failures name the method and the check, and so do errors on the way."""
    name = function.__name__.replace("_", "-")

    @wraps(function)
    def named(candidate: Candidate) -> None:
        try:
            function(candidate)
        except SkipTest:
            raise
        except AssertionError as failure:
            raise AssertionError(f"{candidate.name} fails {name}: {failure}") from None
        except Exception as error:
            raise AssertionError(f"{candidate.name} fails {name}: found {error!r}; expected no error") from error

    CHECKS[name] = named
    return named


def expect(holds: bool, found: str, expected: str) -> None:
    """Fail with one sentence where it doesn't hold."""
    if not holds:
        raise AssertionError(f"found {found}; expected {expected}")


def expect_close(found: Tensor, expected: Tensor, columns: Sequence[Column], what: str) -> None:
    """The same scores but for rounding, and the same answers."""
    difference = apart(found, expected, relative=True)
    expect(difference <= CLOSE, f"scores of {what} changed by {difference:.2g}", f"at most {CLOSE:g}")
    pairs = zip(best(found), best(expected))
    changed = sum(columns[one].name != columns[other].name for one, other in pairs)
    expect(not changed, f"{changed} answers to {what} changed", "the same answers")


def expect_well_formed(
    scores: Tensor, tokens: Tokens, columns: Sequence[Column], seen: Set[Column], method: Method, question: str
) -> None:
    """A number a candidate; -inf where another tower reads it; NaN in whole columns of classes not ``seen``."""
    shape = (len(tokens), len(columns))
    asked = f"where {question} are asked for"
    expect(tuple(scores.shape) == shape, f"scores of shape {tuple(scores.shape)} {asked}", f"{shape}")
    for index, (column, own) in enumerate(zip(columns, readable(tokens, columns, method.backbone))):
        found = scores[:, index]
        where = f"for {column.modality} {column.name!r} on tokens of {tokens.tower!r} {asked}"
        if column not in seen and found.isnan().all():
            continue
        if own:
            expect(bool(found.isfinite().all()), f"{found[~found.isfinite()][:1].tolist()} {where}", "finite scores")
        else:
            finite = found[found != -torch.inf][:1].tolist()
            expect(not finite, f"{finite} {where}", "-inf, because another tower reads it")


def five_tasks() -> PreparedStream:
    """Five tasks of three modalities, on which a frozen model is not much better than chance."""
    return toy_stream(items=8, alignment=1.0)
