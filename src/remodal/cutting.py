"""A file is looked at: what it holds, and whether that is a long sound or clip, which is cut in windows."""

from __future__ import annotations

import os
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO

from remodal.below import Found
from remodal.errors import BadItem
from remodal.features.source import Seen, Window
from remodal.media import Medium, Text
from remodal.modalities import MODALITIES, Timed, get_modality
from remodal.modalities.base import MAX_FILE_BYTES, MAX_LONG_BYTES, MAX_LONG_SECONDS
from remodal.modalities.formats import format_of, head_of
from remodal.modalities.packets import has_clip
from remodal.modalities.windows import Span

PIECE = 1 << 20
"""Bytes that are in memory at once."""


def named_file(medium: Medium) -> Found | None:
    """The file that a user has named, links followed, or that was found in a folder; None where a medium is none."""
    if isinstance(medium, Found):
        return medium
    if isinstance(medium, Text | bytes | Window) or not Path(medium).is_file():
        return None
    real = Path(os.path.realpath(medium))
    return Found(real.parent, real)


def look(found: Found) -> Seen:
    """What a file holds. Raises BadItem where it can't be read, or is larger than what is decoded."""
    where = str(found.path)
    with found.open() as file:
        try:
            now, digest = os.fstat(file.fileno()), sha256()
            lasts = any(isinstance(MODALITIES[name], Timed) for name in format_of(head_of(file)).readers)
            most = MAX_LONG_BYTES if lasts else MAX_FILE_BYTES
            if now.st_size > most:
                raise BadItem(where, f"found {now.st_size:,} bytes; valid: at most {most:,}")
            while piece := file.read(PIECE):
                digest.update(piece)
        except OSError as error:
            raise BadItem(where, f"can't be read ({error.strerror})") from error
    return Seen(digest.hexdigest(), now.st_size, now.st_mtime_ns)


def cut(found: Found, seen: Seen, modality: str | None = None) -> list[Window]:
    """The windows of a long sound or clip; none where a file is to be read whole, whatever it holds.

    modality: that it is read as, where that is told.

    Raises:
        BadItem: It can't be read, or is longer than what is read in windows.
    """
    with found.open() as file:
        try:
            reader = get_modality(modality) if modality is not None else _reader(file)
            if not isinstance(reader, Timed):
                return []
            seconds = reader.seconds(file)
        except Exception:
            return []  # what is wrong with it is told when it is read whole
    if seconds > MAX_LONG_SECONDS:
        raise BadItem(str(found.path), f"found more than {MAX_LONG_SECONDS:,.0f} s; valid: at most so many")
    return [Window(found, reader.name, span, seen) for span in reader.cut(seconds)]


def windows(found: Found, seen: Seen, spans: Sequence[Span]) -> list[Window]:
    """The windows of a long sound or clip that lie where others lay.

    Raises:
        BadItem: It can't be read, or is no sound and no clip.
    """
    with found.open() as file:
        try:
            reader = _reader(file)
        except Exception:
            reader = None
    if reader is None:
        raise BadItem(str(found.path), "found no sound and no clip; valid: what was cut in windows before")
    return [Window(found, reader.name, span, seen) for span in spans]


def _reader(file: BinaryIO) -> Timed | None:
    """The modality whose reader decodes a file, if its medium lasts."""
    readers = [MODALITIES[name] for name in format_of(head_of(file)).readers]
    lasting = [one for one in readers if isinstance(one, Timed)]
    if len(lasting) > 1 and not has_clip(file):
        return lasting[-1]
    return lasting[0] if lasting else None
