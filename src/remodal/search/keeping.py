"""Keeping an index true: to a folder whose files come, change and go, and to a model that learns on."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from remodal.below import Found
from remodal.cutting import look
from remodal.errors import BadItem, RemodalError
from remodal.features.progress import Progress
from remodal.features.source import Seen
from remodal.media import media_below
from remodal.modalities import reader_of
from remodal.modalities.base import MAX_FILE_BYTES
from remodal.model import Answering, Model
from remodal.search.conditions import batched
from remodal.search.embedding import COMMIT_FILES, embed, new_parts, stored_parts
from remodal.search.index import Index
from remodal.search.rows import File, Stored
from remodal.streams.base import Quarantined


class Kept(NamedTuple):
    """What was done, in files; of :func:`refresh` in files and windows. known: whose content was there already, under
    whatever name. others: how many files are not named as media are, by their ending. partly: long files of which some
    windows hold nothing that can be used.
    """

    embedded: int
    known: int
    removed: int
    refused: tuple[Quarantined, ...]
    others: Mapping[str, int]
    partly: tuple[Quarantined, ...] = ()


class _Looked(NamedTuple):
    """What was found of a folder's files. new: to be embedded. known: how many need nothing. copied: how many have the
    content of others. left: such others that are not there any more. replaced: by path, files of which something else
    was stored.
    """

    new: list[tuple[File, Seen]]
    known: int
    copied: int
    left: list[File]
    replaced: dict[str, File]
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

    A long sound or clip is cut in windows. A file whose content is known is not embedded again; one that is gone or
    can't be read leaves the index, whichever folder it was indexed with, and so does the old place of one that was
    moved here. Links that leave the folder are refused. depth_unit: see :meth:`Model.predict`. answers: who says what
    the model says; the model, by default.

    Raises:
        RemodalError: There is no such folder, or the index was made with another frozen model.
    """
    index = index.of(model.backbone.fingerprint)
    model.unit(depth_unit)
    root = folder.resolve()
    if not root.is_dir():
        raise RemodalError(
            f"{folder}: no such folder; valid: one that is there, or --forget to remove what is stored of it"
        )
    below = media_below(root)
    there = {str(found.path) for found in below.media}
    gone = [one for one in index.below(root) if one.path not in there]
    looked = _look(index, below.media, root, depth_unit)
    parts = (new_parts(*one) for one in looked.new)
    done = embed(index, model, parts, len(looked.new), progress, answers, inside=progress)
    refused = (*looked.unreadable, *done.refused)
    gone += looked.left
    for rows in index.files(bad.path for bad in refused).values():
        gone += rows
    for path, rows in index.files(looked.replaced).items():
        index.remove(one.id for one in rows if one.whole != looked.replaced[path])
    if gone:
        for each in index.all():  # an earlier version of the model shall not find them either
            each.remove({one.id for one in gone})
    if looked.new or looked.copied or gone:
        index.tidy(progress)
    removed, known = len({one.path for one in gone}), looked.known + looked.copied
    return Kept(len(looked.new) - len(done.refused), known, removed, refused, below.others, done.partly)


def forget(index: Index, folder: Path) -> int:
    """Remove what the index holds of the files below ``folder``, which need not be there any more; how many.

    Raises:
        RemodalError: It holds nothing of them.
    """
    removed = max(one.remove_below(folder.resolve()) for one in index.all())
    if not removed:
        folders = ", ".join(index.folders()) or "none"
        raise RemodalError(f"{folder}: the index holds nothing of it; it holds files of: {folders}")
    index.tidy()
    return removed


def refresh(index: Index, model: Model, progress: Progress | None = None, *, answers: Answering | None = None) -> Kept:
    """Embed again, from cached tokens, the files and windows of modalities that the model has learned more of since.

    answers: see :func:`keep_up`.

    Raises:
        RemodalError: The index was made with another frozen model.
    """
    index = index.of(model.backbone.fingerprint)
    rows, stale = len(index), sum(index.stale(model.lineage).values())
    done = embed(index, model, stored_parts(index.stale_files(model.lineage)), stale, progress, answers)
    if stale:
        index.tidy(progress)
    return Kept(done.rows, rows - stale, 0, done.refused, {}, done.partly)


def rebuild(index: Index, model: Model, named: str, progress: Progress | None = None) -> tuple[Index, Kept]:
    """The same files for a model on another frozen model, beside what is there; see :meth:`Index.switch`.

    named: where the model will be. A file that is gone, or that the model can't read, isn't among them.
    """
    found = index.beside(named, model.backbone.fingerprint, model.backbone.width)
    rows = len(index)
    done = embed(found, model, stored_parts(index.all_files()), rows, progress, None)
    found.tidy(progress)
    return found, Kept(done.rows, 0, 0, done.refused, {}, done.partly)


def _look(index: Index, media: Sequence[Found], root: Path, depth_unit: str | None) -> _Looked:
    """See what the index knows of files below ``root``, and copy what it knows of their content under other names."""
    new, known, copied = list[tuple[File, Seen]](), 0, 0
    left, replaced, unreadable = list[File](), dict[str, File](), list[Quarantined]()
    for some in batched(media, COMMIT_FILES):
        files = dict[File, Seen]()
        for found in some:
            try:
                files.update([_looked_at(found, depth_unit)])
            except BadItem as bad:
                unreadable.append(Quarantined(str(found.path), bad.reason))
        before = index.files(file.path for file in files)
        changed = [file for file in files if {one.whole for one in before.get(file.path, ())} != {file}]
        replaced.update((file.path, file) for file in changed if file.path in before)
        known += len(files) - len(changed)
        same = {(one.content, one.unit): one.path for one in index.with_content({file.content for file in changed})}
        sources: dict[tuple[str, str], list[Stored]] = {}
        for row in index.stored(set(same.values())):
            if same.get((row.content, row.unit)) == row.path:
                sources.setdefault((row.content, row.unit), []).append(row)
        copies = []
        for file in changed:
            if (rows := sources.get((file.content, file.unit))) is None:
                new.append((file, files[file]))
            else:
                copies += [replace(row, path=file.path, folder=file.folder) for row in rows]
                copied += 1
        index.put(copies)
        elsewhere = index.with_content({one.content for one in copies})
        left += [one for one in elsewhere if not Path(one.path).is_relative_to(root) and _is_gone(one)]
    return _Looked(new, known, copied, left, replaced, unreadable)


def _looked_at(found: Found, depth_unit: str | None) -> tuple[File, Seen]:
    """What a file holds, as it is to be read. Raises BadItem where it can't be."""
    name = str(found.path)
    if name.encode(errors="replace").decode() != name:
        raise BadItem(name, "found a file name that isn't UTF-8")
    seen = look(found)
    measured = depth_unit is not None and seen.size <= MAX_FILE_BYTES and reader_of(found.read(), name).name == "depth"
    return File(name, seen.content, str(found.folder), depth_unit or "" if measured else ""), seen


def _is_gone(stored: File) -> bool:
    """Whether a file isn't where it was, although that place can be looked at: a disk may not be mounted now."""
    return not os.path.lexists(stored.path) and Path(stored.folder).parent.is_dir()
