"""Keeping an index true: to a folder whose files come, change and go, and to a model that learns on."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from hashlib import sha256
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import NamedTuple

from remodal.answering import Answer
from remodal.errors import BadItem, RemodalError
from remodal.features.progress import Progress, Silent
from remodal.media import Found, media_below
from remodal.modalities import reader_of
from remodal.model import Answering, Model
from remodal.search.conditions import batched
from remodal.search.index import Index
from remodal.search.rows import File, Stored
from remodal.streams.base import Quarantined

COMMIT_FILES = 256
"""At most so many are lost when a process dies."""
ASKED = 16_384
"""Files that are asked about at a go, at most: a cluster needs many, to be worth its start."""
TIDIED_COMMITS = 256
"""Each commit leaves a piece, and whatever reads the index reads them all: so many are joined on the way."""


class Kept(NamedTuple):
    """What was done. known: files whose content was there already, under whatever name. others: how many files are not
    named as media are, by their ending.
    """

    embedded: int
    known: int
    removed: int
    refused: tuple[Quarantined, ...]
    others: Mapping[str, int]


class _Looked(NamedTuple):
    """What was found of a folder's files. new: to be embedded. known: how many need nothing. copied: how many have the
    content of others. left: ids of such others that are not there any more.
    """

    new: list[File]
    known: int
    copied: int
    left: set[str]
    unreadable: list[Quarantined]


def keep_up(
    index: Index,
    model: Model,
    folder: Path,
    progress: Progress | None = None,
    *,
    depth_unit: str | None = None,
    answers: Answering | None = None,
) -> Kept:
    """Make the index hold the files below ``folder`` as they are now; files elsewhere are left as they are.

    A file whose content is known is not embedded again; one that is gone or can't be read leaves the index, whichever
    folder it was indexed with, and so does the old place of one that was moved here. Links that leave the folder are
    refused. depth_unit: see :meth:`Model.predict`. answers: who says what the model says; the model, by default.

    Raises:
        RemodalError: There is no such folder, or the index was made with another frozen model.
    """
    index.check(model.backbone.fingerprint)
    model.unit(depth_unit)
    root = folder.resolve()
    if not root.is_dir():
        raise RemodalError(
            f"{folder}: no such folder; valid: one that is there, or --forget to remove what is stored of it"
        )
    below = media_below(root)
    there = {str(found.path) for found in below.media}
    gone = {one.id for one in index.below(root) if one.path not in there}
    looked = _look(index, below.media, root, depth_unit)
    unfit = _embed(index, model, looked.new, len(looked.new), progress, answers)
    refused = (*looked.unreadable, *unfit)
    gone |= looked.left | {one.id for one in index.files(bad.path for bad in refused).values()}
    index.remove(gone)
    if looked.new or looked.copied or gone:
        index.tidy(progress)
    return Kept(len(looked.new) - len(unfit), looked.known + looked.copied, len(gone), refused, below.others)


def forget(index: Index, folder: Path) -> int:
    """Remove what the index holds of the files below ``folder``, which need not be there any more; how many.

    Raises:
        RemodalError: It holds nothing of them.
    """
    removed = index.remove_below(folder.resolve())
    if not removed:
        folders = ", ".join(index.folders()) or "none"
        raise RemodalError(f"{folder}: the index holds nothing of it; it holds files of: {folders}")
    index.tidy()
    return removed


def refresh(index: Index, model: Model, progress: Progress | None = None, *, answers: Answering | None = None) -> Kept:
    """Embed again, from cached tokens, the files of modalities that the model has learned more of since.

    answers: see :func:`keep_up`.

    Raises:
        RemodalError: The index was made with another frozen model.
    """
    index.check(model.backbone.fingerprint)
    files, stale = len(index), sum(index.stale(model.lineage).values())
    refused = _embed(index, model, index.stale_files(model.lineage), stale, progress, answers)
    if stale:
        index.tidy(progress)
    return Kept(stale - len(refused), files - stale, 0, refused, {})


def _look(index: Index, media: Sequence[Found], root: Path, depth_unit: str | None) -> _Looked:
    """See what the index knows of files below ``root``, and copy what it knows of their content under other names."""
    new, known, copied, left, unreadable = list[File](), 0, 0, set[str](), list[Quarantined]()
    for some in batched(media, COMMIT_FILES):
        files = []
        for found in some:
            try:
                files.append(_looked_at(found, depth_unit))
            except BadItem as bad:
                unreadable.append(Quarantined(str(found.path), bad.reason))
        before = index.files(file.path for file in files)
        changed = [file for file in files if before.get(file.path) != file]
        known += len(files) - len(changed)
        same = {(one.content, one.unit): one.path for one in index.with_content({file.content for file in changed})}
        sources = {(one.content, one.unit): one for one in index.stored(same.values())}
        copies = []
        for file in changed:
            if (source := sources.get((file.content, file.unit))) is None:
                new.append(file)
            else:
                copies.append(replace(source, path=file.path, folder=file.folder))
        index.put(copies)
        copied += len(copies)
        elsewhere = index.with_content({one.content for one in copies})
        left |= {one.id for one in elsewhere if not Path(one.path).is_relative_to(root) and _is_gone(one)}
    return _Looked(new, known, copied, left, unreadable)


def _looked_at(found: Found, depth_unit: str | None) -> File:
    """What a file holds, as it is to be read. Raises BadItem where it can't be."""
    name = str(found.path)
    if name.encode(errors="replace").decode() != name:
        raise BadItem(name, "found a file name that isn't UTF-8")
    data = found.read()
    measured = depth_unit is not None and reader_of(data, name).name == "depth"
    return File(name, sha256(data).hexdigest(), str(found.folder), depth_unit or "" if measured else "")


def _is_gone(stored: File) -> bool:
    """Whether a file isn't where it was, although that place can be looked at: a disk may not be mounted now."""
    return not os.path.lexists(stored.path) and Path(stored.folder).parent.is_dir()


def _embed(
    index: Index,
    model: Model,
    files: Iterable[File],
    total: int,
    progress: Progress | None,
    answers: Answering | None,
) -> tuple[Quarantined, ...]:
    """Embed and store files; those that could not be."""
    refused, lineage = [], model.lineage
    with (progress or Silent()).work("index", total) as count:
        for number, some in enumerate(batched(_said(answers or model.answers, files), COMMIT_FILES), 1):
            rows = []
            for file, answer in some:
                if answer.place is None:
                    refused.append(Quarantined(file.path, answer.problem or ""))
                else:
                    (best,), found, learned = answer.best, answer.modality, lineage[answer.modality]
                    told = found, best.label, best.probability, learned, answer.place
                    rows.append(Stored(file.path, file.folder, file.content, *told, file.unit))
            index.put(rows)
            count(len(some))
            if number % TIDIED_COMMITS == 0:
                index.tidy()
    return tuple(refused)


def _said(answers: Answering, files: Iterable[File]) -> Iterator[tuple[File, Answer]]:
    """What the model says of each file."""
    for some in batched(files, ASKED):
        for unit, alike in groupby(sorted(some, key=attrgetter("unit")), key=attrgetter("unit")):
            own = list(alike)
            media = [Found(Path(one.folder), Path(one.path)) for one in own]
            yield from zip(own, answers(media, depth_unit=unit or None), strict=True)
