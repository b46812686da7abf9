"""Where files to learn from wait, below the model's folder; they go with their job, or with the next server."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from remodal.errors import RemodalError
from remodal.modalities import get_modality
from remodal.serve.own_folders import OwnFolders
from remodal.streams.manifest import NAME

FOLDER = ".staging"


class Lesson(NamedTuple):
    """A file to learn from. data: as the client sent it, decoded once already."""

    modality: str
    data: bytes


class Staging(OwnFolders):
    """A folder a job. model: the model's."""

    def __init__(self, model: Path) -> None:
        super().__init__(model / FOLDER)

    def keep(self, job: str, label: str, lessons: Sequence[Lesson]) -> Path:
        """A folder that teaches ``label``, as :func:`~remodal.streams.lessons` reads it.

        Raises:
            RemodalError: It can't be written.
        """
        try:
            folder = self.make(job)
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
