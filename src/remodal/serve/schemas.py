"""What the routes take and give as JSON, as the documentation shows it."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import BaseModel, Field

from remodal.serve.asking import Said
from remodal.suggesting import Suggestion, Why

MAX_VERSION = 10**9


class Found(BaseModel):
    """One class, with the probability of class and modality together."""

    label: str
    modality: str
    probability: float


class AnswerOut(BaseModel):
    """What the model says of one medium; ``problem`` says why it could not.

    familiarity: share of the model's held-out items that look at least as strange to it as the medium does; at .05 or
    less it is unlike anything learned, or of a new class, and its answer says little. null: too little is held out.
    """

    medium: str
    modalities: dict[str, float]
    best: list[Found]
    familiarity: float | None
    problem: str | None
    version: int

    @classmethod
    def of(cls, said: Said) -> Self:
        """As it is sent."""
        answer = said.answer
        return cls(
            medium=answer.medium,
            modalities=answer.modalities,
            best=[Found(**one._asdict()) for one in answer.best],
            familiarity=answer.familiarity,
            problem=answer.problem,
            version=said.version,
        )


class HitOut(BaseModel):
    """A stored file. id: to fetch it with, at ``/media/{id}``. sure: whether it is nearer than what is found by chance;
    null where the index has too little to say. start, end: the moment that was found in a long sound or clip, in
    seconds; null where the file was found whole.
    """

    id: str
    path: str
    modality: str
    label: str
    nearness: float
    sure: bool | None
    start: float | None
    end: float | None


class IndexOut(BaseModel):
    """An index. stale: files, and windows of long ones, by modality that will be embedded again."""

    files: int
    stale: dict[str, int]


class SuggestionOut(BaseModel):
    """A file to be labelled. place: among those that were sent, from 0. guesses: best first. doubt: how likely the best
    guess is wrong. why: ``unfamiliar`` (unlike anything learned), ``doubtful``, or ``like others``. like: how many
    other files are most like it, of what was not suggested before it.
    """

    place: int
    medium: str
    modality: str
    guesses: list[Found]
    doubt: float
    why: Why
    like: int

    @classmethod
    def of(cls, one: Suggestion, medium: str) -> Self:
        """As it is sent; medium: the file's name."""
        return cls(
            place=one.place,
            medium=medium,
            modality=one.read_as,
            guesses=[Found(**guess._asdict()) for guess in one.answer.best],
            doubt=one.doubt,
            why=one.why,
            like=one.like,
        )


class ProblemOut(BaseModel):
    """A file that can't be used, and why."""

    medium: str
    problem: str


class SuggestedOut(BaseModel):
    """What to label first, best first. learned: files that the model has learned or holds out. copies: of others."""

    chosen: list[SuggestionOut]
    learned: int
    copies: int
    problems: list[ProblemOut]


class ClassOut(BaseModel):
    """A class that was learned. items: how many of it, null where they weren't noted. held_out: to measure it with."""

    modality: str
    label: str
    items: int | None
    held_out: int


class Rollback(BaseModel):
    """version: to go back to; by default the one that the current one learned on from."""

    version: Annotated[int, Field(ge=1, le=MAX_VERSION)] | None = None


class Problem(BaseModel):
    """Why a request was refused, in one line."""

    detail: str
