"""Where files to learn from wait until their job is done."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from remodal.errors import RemodalError
from remodal.modalities import get_modality
from remodal.serve.own_folders import OwnFolders
from remodal.streams.manifest import NAME

TAUGHT = "taught on the server"
"""Name of the folder that a job learns from, and so what the model's card says of where its items came from."""


class Lesson(NamedTuple):
    """A file to learn from. data: as the client sent it, decoded once already. unit: of depth."""

    modality: str
    data: bytes
    unit: str | None = None


class Staging(OwnFolders):
    """A folder a job."""

    def lessons(self, job: str) -> Path:
        """What a job learns from, as :func:`~remodal.streams.lessons` reads it."""
        return self.folder(job) / TAUGHT

    def keep(self, job: str, label: str, lessons: Sequence[Lesson]) -> None:
        """Keep files that teach ``label``.

        Raises:
            RemodalError: They can't be written.
        """
        folder = self.lessons(job)
        try:
            self.make(job)
            folder.mkdir()
            with (folder / NAME).open("w", newline="", encoding="utf-8") as file:
                rows = csv.writer(file)
                rows.writerow(["path", "modality", "label", "unit"])
                for number, lesson in enumerate(lessons):
                    # a client's own name is never a path
                    name = f"{number:04d}{min(get_modality(lesson.modality).suffixes)}"
                    (folder / name).write_bytes(lesson.data)
                    rows.writerow([name, lesson.modality, label, lesson.unit])
        except OSError as error:
            self.forget(job)
            raise RemodalError(f"the files can't be kept to learn from ({error.strerror})") from None
