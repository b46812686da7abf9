"""Where files to learn from wait, below the model's folder; they go with their job, or with the next server."""

from __future__ import annotations

import csv
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from remodal.errors import RemodalError
from remodal.modalities import get_modality
from remodal.streams.manifest import NAME

FOLDER = ".staging"


class Lesson(NamedTuple):
    """A file to learn from. data: as the client sent it, decoded once already."""

    modality: str
    data: bytes


class Staging:
    """model: its folder."""

    def __init__(self, model: Path) -> None:
        self._folder = model / FOLDER

    def folder(self, job: str) -> Path:
        """Of one job of this process."""
        return self._folder / f"{os.getpid()}-{job}"

    def keep(self, job: str, label: str, lessons: Sequence[Lesson]) -> Path:
        """A folder that teaches ``label``, as :func:`~remodal.streams.lessons` reads it.

        Raises:
            RemodalError: It can't be written.
        """
        folder = self.folder(job)
        try:
            folder.mkdir(parents=True)
            with (folder / NAME).open("w", newline="", encoding="utf-8") as file:
                rows = csv.writer(file)
                rows.writerow(["path", "modality", "label"])
                for number, lesson in enumerate(lessons):
                    # a client's own name is never a path
                    name = f"{number:04d}{min(get_modality(lesson.modality).suffixes)}"
                    (folder / name).write_bytes(lesson.data)
                    rows.writerow([name, lesson.modality, label])
        except OSError as error:
            self.forget(job)
            raise RemodalError(f"the files can't be kept to learn from ({error.strerror})") from None
        return folder

    def forget(self, job: str) -> None:
        """Remove what a job has left."""
        shutil.rmtree(self.folder(job), ignore_errors=True)

    def forget_the_dead(self) -> None:
        """Remove what servers that were killed have left."""
        for folder in self._folder.glob("*-*"):
            if not _alive(int(folder.name.partition("-")[0])):
                shutil.rmtree(folder, ignore_errors=True)


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
