"""The model is asked about files, and about the windows of long ones, and what it says comes into an index.

All rows of a file come into it at once: a process that dies leaves a file whole, or not there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import NamedTuple

from remodal.answering import Answer, refused
from remodal.below import Found
from remodal.cutting import cut, windows
from remodal.cutting import look as look_at
from remodal.errors import BadItem
from remodal.features.progress import Progress, Silent
from remodal.features.source import Seen
from remodal.media import Medium
from remodal.modalities.windows import Span
from remodal.model import Answering, Model
from remodal.search.index import Index
from remodal.search.rows import File, Stored
from remodal.streams.base import Quarantined

COMMIT_FILES = 256
"""At most so many are lost when a process dies."""
ASKED = 16_384
"""Files and windows that are asked about at a go, about: a cluster needs many, to be worth its start."""
TIDIED_COMMITS = 256
"""Each commit leaves a piece, and whatever reads the index reads them all: so many are joined on the way."""


class Part(NamedTuple):
    """What a row is to hold: a file or a window, and what is asked about, or why nothing can be. steps: of the work,
    that are done with it.
    """

    file: File
    asked: Medium | BadItem
    steps: int = 1


class Embedded(NamedTuple):
    """rows: that were stored. refused: files of which none is. partly: long files of which some windows couldn't be."""

    rows: int
    refused: tuple[Quarantined, ...]
    partly: tuple[Quarantined, ...]


def new_parts(file: File, seen: Seen) -> list[Part]:
    """A file that is to come into an index, cut in windows where it is a long one."""
    found = _found(file)
    try:
        parts = [Part(file._replace(start=one.span.start, end=one.span.end), one, 0) for one in cut(found, seen)]
    except BadItem as bad:
        return [Part(file, bad)]
    return [*parts[:-1], parts[-1]._replace(steps=1)] if parts else [Part(file, found)]


def stored_parts(files: Iterable[File]) -> Iterator[list[Part]]:
    """Rows of an index that are to be embedded again, those of a file after each other: cut as they were."""
    for _, same in groupby(files, attrgetter("path")):
        own = list(same)
        found = _found(own[0])
        spans = [Span(one.start, one.end) for one in own if one.start is not None and one.end is not None]
        if not spans:
            yield [Part(one, found) for one in own]
            continue
        try:
            seen = look_at(found)
            if seen.content != own[0].content:
                raise BadItem(own[0].path, "was changed since it was indexed; index its folder again")
            yield [Part(one, window) for one, window in zip(own, windows(found, seen, spans), strict=True)]
        except BadItem as bad:
            yield [Part(one, bad) for one in own]


def embed(
    index: Index,
    model: Model,
    files: Iterable[Sequence[Part]],
    total: int,
    progress: Progress | None,
    answers: Answering | None,
    inside: Progress | None = None,
) -> Embedded:
    """Embed and store files, given with the parts of each. total: steps. inside: shows the work on one file."""
    lineage, stored = model.lineage, 0
    bad, partly, rows = list[Quarantined](), list[Quarantined](), list[Stored]()
    done = steps = commits = 0

    def commit() -> None:
        nonlocal stored, done, steps, commits
        index.put(rows)
        stored += len(rows)
        count(steps)
        rows.clear()
        done, steps, commits = 0, 0, commits + 1
        if commits % TIDIED_COMMITS == 0:
            index.tidy()

    with (progress or Silent()).work("index", total) as count:
        said = _said(answers or model.answers, files, inside)
        for path, own in groupby(said, lambda one: one[0].file.path):
            missed, before = list[tuple[File, str]](), len(rows)
            for part, answer in own:
                steps += part.steps
                if answer.place is None:
                    missed.append((part.file, answer.problem or ""))
                else:
                    rows.append(_row(part.file, answer, lineage))
            if missed:
                found, of = len(rows) - before, len(rows) - before + len(missed)
                (partly if found else bad).append(Quarantined(path, _why(missed, of) if found else missed[0][1]))
            done += 1
            if max(done, len(rows)) >= COMMIT_FILES:
                commit()
        if done:
            commit()
    return Embedded(stored, tuple(bad), tuple(partly))


def _found(file: File) -> Found:
    return Found(Path(file.folder), Path(file.path))


def _row(file: File, answer: Answer, lineage: dict[str, str]) -> Stored:
    assert answer.place is not None
    (best,), found, learned = answer.best, answer.modality, lineage[answer.modality]
    told = found, best.label, best.probability, learned, answer.place
    return Stored(file.path, file.folder, file.content, *told, file.unit, file.start, file.end)


def _why(missed: Sequence[tuple[File, str]], of: int) -> str:
    """Why some of a file's windows are left out."""
    first, reason = missed[0]
    assert first.start is not None
    assert first.end is not None
    return f"{len(missed):,} of {of:,} windows are left out, from {Span(first.start, first.end)} on: {reason}"


def _said(
    answers: Answering, files: Iterable[Sequence[Part]], progress: Progress | None
) -> Iterator[tuple[Part, Answer]]:
    """What the model says of each part; those of a file after each other."""
    for some in _together(files):
        for unit, alike in groupby(sorted(some, key=lambda part: part.file.unit), lambda part: part.file.unit):
            own = list(alike)
            media = [part.asked for part in own if not isinstance(part.asked, BadItem)]
            said = iter(answers(media, progress=progress, depth_unit=unit or None))
            for part in own:
                bad = part.asked if isinstance(part.asked, BadItem) else None
                yield part, refused(part.file.path, bad.reason) if bad else next(said)


def _together(files: Iterable[Sequence[Part]]) -> Iterator[list[Part]]:
    """Whole files, about :data:`ASKED` parts at a time."""
    some = list[Part]()
    for parts in files:
        some += parts
        if len(some) >= ASKED:
            yield some
            some = []
    if some:
        yield some
