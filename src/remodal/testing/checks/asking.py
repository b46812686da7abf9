"""What a method may be asked: any candidates, few or many, learned or not; and what may not depend on which."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set

from torch import Tensor

from remodal.backbones import Tokens
from remodal.learning.prepare import PreparedStream
from remodal.methods.base import Method
from remodal.streams.base import Column
from remodal.testing.candidate import Candidate, apart, columns_of, scores_of
from remodal.testing.checks.check import CLOSE, check, expect, expect_well_formed
from remodal.testing.toy import toy_stream

FUTURE = (Column("image", "zebra"), Column("audio", "zebra"), Column("text", "fog"), Column("video", "cat"))
"""Classes that no task shows, and one of a modality that no task shows."""


@check
def answers_what_is_asked(candidate: Candidate) -> None:
    """Scores are numbers where they have to be, whichever candidates are asked for.

    Of one modality, of a single class, of none that was learned: after two tasks, when one tower has learned nothing,
    and after all.
    """
    stream = _helpful_names()
    for count in (2, len(stream.tasks)):
        method = candidate.learned(stream.tasks[:count])
        seen = {column for task in stream.tasks[:count] for column in task.columns}
        for tokens in _by_modality(stream).values():
            for question, asked in _questions([*columns_of(stream), *FUTURE], seen).items():
                expect_well_formed(_asked(method, tokens, asked, question), tokens, asked, seen, method, question)


@check
def agrees_with_itself(candidate: Candidate) -> None:
    """Two classes of a modality stand to each other as they do among all candidates, whichever others are asked for.

    That is so for two that were learned, and for two that were not. And the same question has the same answer, bit for
    bit, whatever was asked in between.
    """
    stream = _helpful_names()
    method, seen = candidate.learned(stream.tasks), set(columns_of(stream))
    columns = [*columns_of(stream), *FUTURE]
    for modality, tokens in _by_modality(stream).items():
        whole = scores_of(method, tokens, columns)
        for question, asked in _questions(columns, seen).items():
            found = _asked(method, tokens, asked, question)
            expected = whole[:, [columns.index(column) for column in asked]]
            for alike in _alike(asked, seen):
                one, other = found[:, alike], expected[:, alike]
                moved = (one - other)[:, :1].nan_to_num(nan=0.0)  # NaN or -inf in both: as before
                difference = apart(one, other + moved, relative=True)
                what = (
                    f"{modality} items' scores of {asked[alike[0]].modality} candidates {difference:.2g} farther apart"
                )
                expect(difference <= CLOSE, f"{what} where {question} are asked for", f"at most {CLOSE:g}")
        difference = apart(scores_of(method, tokens, columns), whole)
        expect(difference == 0, f"scores {difference:.2g} apart where the same is asked again", "equal bits")


def _helpful_names() -> PreparedStream:
    """Five tasks in which classes are hard to tell and their names help, so that a method that may use names does."""
    return toy_stream(items=8, alignment=2.0, noise=1.0)


def _by_modality(stream: PreparedStream) -> dict[str, Tokens]:
    """Held-out items of the first task of each modality."""
    return {task.train.modality: task.test.tokens for task in reversed(stream.tasks)}


def _questions(columns: Sequence[Column], seen: Set[Column]) -> Mapping[str, list[Column]]:
    """Candidates to ask for, by what they are in words."""
    learned = [column for column in columns if column in seen]
    questions = {
        "all": list(columns),
        "learned classes": learned,
        "classes not learned": [column for column in columns if column not in seen],
        "every second candidate, from the last on,": list(columns[::-2]),
    }
    for modality in dict.fromkeys(column.modality for column in columns):
        questions[f"candidates of {modality} alone"] = [one for one in columns if one.modality == modality]
        questions[f"learned classes of {modality} alone"] = [one for one in learned if one.modality == modality]
    questions |= {f"no candidates but {modality} {name!r}": [Column(modality, name)] for modality, name in columns}
    return {question: asked for question, asked in questions.items() if asked}


def _alike(asked: Sequence[Column], seen: Set[Column]) -> list[list[int]]:
    """Positions of candidates that are of one modality, and all learned or all not."""
    groups: dict[tuple[str, bool], list[int]] = {}
    for at, column in enumerate(asked):
        groups.setdefault((column.modality, column in seen), []).append(at)
    return list(groups.values())


def _asked(method: Method, tokens: Tokens, columns: Sequence[Column], question: str) -> Tensor:
    """Scores; a failure names the question."""
    try:
        return scores_of(method, tokens, columns)
    except Exception as error:
        raise AssertionError(f"found {error!r} where {question} are asked for; expected scores") from error
