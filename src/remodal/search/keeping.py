"""Keeping an index true: to a folder whose files come, change and go, and to a model that learns on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from remodal.errors import BadItem, RemodalError
from remodal.features.progress import Progress, Silent
from remodal.media import Found, media_below
from remodal.model import Model
from remodal.search.index import Index, Stored
from remodal.streams.base import Quarantined

COMMIT_FILES = 256
"""At most so many are lost when a process dies."""


class Kept(NamedTuple):
    """What was done. known: files whose content was there already, under whatever name."""

    embedded: int
    known: int
    removed: int
    refused: tuple[Quarantined, ...]


def keep_up(index: Index, model: Model, folder: Path, progress: Progress | None = None) -> Kept:
    """Make the index hold the files below ``folder`` as they are now; other folders' files are left as they are.

    A file whose content is known is not embedded again; one that is gone or can't be read leaves the index. Links that
    leave the folder are refused.

    Raises:
        RemodalError: There is no such folder, or the index was made with another frozen model.
    """
    index.check(model.backbone.fingerprint)
    root = folder.resolve()
    if not root.is_dir():
        raise RemodalError(f"{folder}: no such folder")
    stored = index.stored()
    here = {one.path: one for one in stored if one.folder == str(root)}
    by_content = {one.content: one for one in stored}
    files = {str(found.path): found for found in media_below(root)}
    new, known, moved, unreadable = [], 0, [], []
    for name, found in files.items():
        try:
            if name.encode(errors="replace").decode() != name:
                raise BadItem(name, "found a file name that isn't UTF-8")
            content = sha256(found.read()).hexdigest()
        except BadItem as bad:
            unreadable.append(Quarantined(name, bad.reason))
            continue
        if name in here and here[name].content == content:
            known += 1
        elif content in by_content:
            moved.append(replace(by_content[content], path=name, folder=str(root)))
        else:
            new.append((name, content))
    index.put(moved)
    refused = _embed(index, model, [(name, content, str(root)) for name, content in new], progress)
    gone = [one.id for name, one in here.items() if name not in files]
    gone += [here[one.path].id for one in (*unreadable, *refused) if one.path in here]
    index.remove(gone)
    if moved or new or gone:
        index.tidy()
    return Kept(len(new) - len(refused), known + len(moved), len(gone), (*unreadable, *refused))


def refresh(index: Index, model: Model, progress: Progress | None = None) -> Kept:
    """Embed again, from cached tokens, the files of modalities that the model has learned more of since.

    Raises:
        RemodalError: The index was made with another frozen model.
    """
    index.check(model.backbone.fingerprint)
    lineage = model.lineage
    stored = index.stored()
    stale = [one for one in stored if lineage[one.modality] != one.lineage]
    refused = _embed(index, model, [(one.path, one.content, one.folder) for one in stale], progress)
    if stale:
        index.tidy()
    return Kept(len(stale) - len(refused), len(stored) - len(stale), 0, refused)


def _embed(
    index: Index, model: Model, files: Sequence[tuple[str, str, str]], progress: Progress | None
) -> tuple[Quarantined, ...]:
    """Embed and store files, given as (path, hash of the content, folder); those that could not be."""
    refused, lineage = [], model.lineage
    with (progress or Silent()).work("index", len(files)) as count:
        for start in range(0, len(files), COMMIT_FILES):
            some = files[start : start + COMMIT_FILES]
            rows = []
            answers = model.answers([Found(Path(folder), Path(path)) for path, _, folder in some])
            for (path, content, folder), answer in zip(some, answers, strict=True):
                if answer.place is None:
                    refused.append(Quarantined(path, answer.problem or ""))
                else:
                    (best,), found, learned = answer.best, answer.modality, lineage[answer.modality]
                    likeliest = best.label, best.probability
                    rows.append(Stored(path, folder, content, found, *likeliest, learned, answer.place))
            index.put(rows)
            count(len(some))
    return tuple(refused)
