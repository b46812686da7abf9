"""A stream's items as files: to look at, to try a model on, or to take elsewhere."""

from __future__ import annotations

import re
import shutil
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from remodal.errors import RemodalError
from remodal.features.progress import Progress, Silent
from remodal.files import write_csv
from remodal.modalities.formats import format_of
from remodal.streams.base import Item
from remodal.streams.manifest import NAME, OPTIONAL, REQUIRED

NOTICE = "NOTICE.md"
LONGEST = 60
"""Letters of a folder's name: file systems take 255 bytes, and a letter may take four."""


def export(items: Sequence[Item], folder: Path, notice: Path | None = None, progress: Progress | None = None) -> None:
    """Write items as ``<modality>/<class>/<number>.<suffix>`` beside a ``manifest.csv`` that says what each one is.

    The folder is a stream again, with the same classes, splits and sources; a class's whole name is in the manifest,
    its folder's may be cut short. notice: attribution that goes with them.

    Raises:
        RemodalError: There is something in the folder, or it can't be written.
        BadItem: An item can't be read.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise RemodalError(f"{folder}: is there already; valid: a new or an empty folder")
    rows, numbers = [], defaultdict[Path, int](int)
    with (progress or Silent()).work("export", len(items)) as count:
        for item in items:
            data = item.read()
            below = Path(item.modality) / re.sub(r"[^\w-]+", "_", item.label)[:LONGEST]
            path = below / f"{numbers[below]:04d}{format_of(data).suffix}"
            numbers[below] += 1
            (folder / below).mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(data)
            columns = (item.split, item.group, item.task, item.licence, item.unit)
            rows.append((path.as_posix(), item.modality, item.label, *columns))
            count()
    write_csv(folder / NAME, (*REQUIRED, *OPTIONAL), rows)
    if notice is not None:
        shutil.copyfile(notice, folder / NOTICE)
