"""Keeping an index true: to a folder whose files come, change and go, and to a model that learns on."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from hashlib import sha256
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import NamedTuple

from remodal.errors import BadItem, RemodalError
from remodal.features.progress import Progress, Silent
from remodal.media import Found, media_below
from remodal.modalities import reader_of
from remodal.model import Model
from remodal.search.index import Index, Stored
from remodal.streams.base import Quarantined

COMMIT_FILES = 256
"""At most so many are lost when a process dies."""


class Kept(NamedTuple):
    """What was done. known: files whose content was there already, under whatever name. others: how many files are not
    named as media are, by their ending.
    """

    embedded: int
    known: int
    removed: int
    refused: tuple[Quarantined, ...]
    others: Mapping[str, int]


class _File(NamedTuple):
    """A file to embed. content: a hash of it. folder: it was found below. unit: of depth, where it is stated."""

    path: str
    content: str
    folder: str
    unit: str


def keep_up(
    index: Index, model: Model, folder: Path, progress: Progress | None = None, *, depth_unit: str | None = None
) -> Kept:
    """Make the index hold the files below ``folder`` as they are now; files elsewhere are left as they are.

    A file whose content is known is not embedded again; one that is gone or can't be read leaves the index, whichever
    folder it was indexed with, and so does the old place of one that was moved here. Links that leave the folder are
    refused. depth_unit: see :meth:`Model.predict`.

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
    stored, below = index.stored(), media_below(root)
    here = {one.path: one for one in stored if Path(one.path).is_relative_to(root)}
    by_content = {(one.content, one.unit): one for one in stored}
    new, known, moved, unreadable = list[_File](), 0, list[Stored](), list[Quarantined]()
    for found in below.media:
        try:
            file = _looked_at(found, depth_unit)
        except BadItem as bad:
            unreadable.append(Quarantined(str(found.path), bad.reason))
            continue
        same, before = by_content.get((file.content, file.unit)), here.get(file.path)
        if same is None:
            new.append(file)
        elif before is not None and (before.path, before.content, before.folder, before.unit) == file:
            known += 1
        else:
            moved.append(replace(same, path=file.path, folder=file.folder))
    index.put(moved)
    refused = _embed(index, model, new, progress)
    there = {str(found.path) for found in below.media} - {one.path for one in (*unreadable, *refused)}
    contents = {one.content for one in moved}
    left = [one for one in stored if one.path not in here and one.content in contents and _is_gone(one)]
    gone = [one.id for one in (*here.values(), *left) if one.path not in there]
    index.remove(gone)
    if moved or new or gone:
        index.tidy()
    return Kept(len(new) - len(refused), known + len(moved), len(gone), (*unreadable, *refused), below.others)


def forget(index: Index, folder: Path) -> int:
    """Remove what the index holds of the files below ``folder``, which need not be there any more; how many.

    Raises:
        RemodalError: It holds nothing of them.
    """
    stored, root = index.stored(), folder.resolve()
    gone = [one.id for one in stored if Path(one.path).is_relative_to(root)]
    if not gone:
        folders = ", ".join(sorted({one.folder for one in stored})) or "none"
        raise RemodalError(f"{folder}: the index holds nothing of it; it holds files of: {folders}")
    index.remove(gone)
    index.tidy()
    return len(gone)


def refresh(index: Index, model: Model, progress: Progress | None = None) -> Kept:
    """Embed again, from cached tokens, the files of modalities that the model has learned more of since.

    Raises:
        RemodalError: The index was made with another frozen model.
    """
    index.check(model.backbone.fingerprint)
    lineage = model.lineage
    stored = index.stored()
    stale = [one for one in stored if lineage[one.modality] != one.lineage]
    files = [_File(one.path, one.content, one.folder, one.unit) for one in stale]
    refused = _embed(index, model, files, progress)
    if stale:
        index.tidy()
    return Kept(len(stale) - len(refused), len(stored) - len(stale), 0, refused, {})


def _looked_at(found: Found, depth_unit: str | None) -> _File:
    """What a file holds, as it is to be read. Raises BadItem where it can't be."""
    name = str(found.path)
    if name.encode(errors="replace").decode() != name:
        raise BadItem(name, "found a file name that isn't UTF-8")
    data = found.read()
    measured = depth_unit is not None and reader_of(data, name).name == "depth"
    return _File(name, sha256(data).hexdigest(), str(found.folder), depth_unit or "" if measured else "")


def _is_gone(stored: Stored) -> bool:
    """Whether a file isn't where it was, although that place can be looked at: a disk may not be mounted now."""
    return not os.path.lexists(stored.path) and Path(stored.folder).parent.is_dir()


def _embed(index: Index, model: Model, files: Sequence[_File], progress: Progress | None) -> tuple[Quarantined, ...]:
    """Embed and store files; those that could not be."""
    refused, lineage = [], model.lineage
    with (progress or Silent()).work("index", len(files)) as count:
        for unit, alike in groupby(sorted(files, key=attrgetter("unit")), key=attrgetter("unit")):
            for some in _batched(list(alike)):
                media = [Found(Path(one.folder), Path(one.path)) for one in some]
                rows = []
                for file, answer in zip(some, model.answers(media, depth_unit=unit or None), strict=True):
                    if answer.place is None:
                        refused.append(Quarantined(file.path, answer.problem or ""))
                    else:
                        (best,), found, learned = answer.best, answer.modality, lineage[answer.modality]
                        told = found, best.label, best.probability, learned, answer.place
                        rows.append(Stored(file.path, file.folder, file.content, *told, file.unit))
                index.put(rows)
                count(len(some))
    return tuple(refused)


def _batched(files: Sequence[_File]) -> Iterator[Sequence[_File]]:
    for start in range(0, len(files), COMMIT_FILES):
        yield files[start : start + COMMIT_FILES]
