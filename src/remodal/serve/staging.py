"""Where files that a job is about wait until it is done."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from remodal.errors import RemodalError
from remodal.files import write_csv, write_json
from remodal.modalities import get_modality
from remodal.serve.own_folders import OwnFolders
from remodal.streams.manifest import NAME

TAUGHT = "taught on the server"
"""Name of the folder that a job learns from, and so what the model's card says of where its items came from."""
SHOWN = 200
"""Letters of a client's name of a file that are kept."""


class Sent(NamedTuple):
    """A file that a client sent. name: for messages alone. data: decoded once already. unit: of depth. label: that it
    is to have, if it is to have one.
    """

    name: str
    modality: str
    data: bytes
    unit: str | None
    label: str


Kind = Literal["update", "arrival", "forget", "relabel", "refresh"]
"""Of a job."""


class Staged(NamedTuple):
    """Where such a file is kept, and as what it was decoded."""

    path: str
    name: str
    modality: str
    unit: str | None
    label: str


class Asked(NamedTuple):
    """What a job is to change. data: the folder of its files, as :func:`~remodal.streams.lessons` reads it. classes: to
    be forgotten.
    """

    kind: Kind
    data: str
    files: Sequence[Staged]
    classes: Sequence[str]

    @classmethod
    def read(cls, file: Path) -> Asked:
        """What :meth:`Staging.keep` wrote."""
        told = json.loads(file.read_text(encoding="utf-8"))
        return cls(**{**told, "files": [Staged(*one) for one in told["files"]]})


class Staging(OwnFolders):
    """A folder a job."""

    def asked(self, job: str) -> Path:
        """The file that says what a job is to change: see :class:`Asked`."""
        return self.folder(job) / "asked.json"

    def keep(self, job: str, kind: Kind, files: Sequence[Sent], classes: Sequence[str]) -> None:
        """Keep what a job is to change, and its files.

        Raises:
            RemodalError: They can't be written.
        """
        folder = self.folder(job) / TAUGHT
        try:
            self.make(job)
            folder.mkdir()
            # a client's own name is never a path
            paths = [folder / f"{at:04d}{min(get_modality(one.modality).suffixes)}" for at, one in enumerate(files)]
            for path, file in zip(paths, files, strict=True):
                path.write_bytes(file.data)
            rows = [(path.name, one.modality, one.label, one.unit) for path, one in zip(paths, files, strict=True)]
            write_csv(folder / NAME, ["path", "modality", "label", "unit"], rows)
            kept = [
                Staged(str(path), one.name[:SHOWN], one.modality, one.unit, one.label)
                for path, one in zip(paths, files, strict=True)
            ]
            write_json(self.asked(job), Asked(kind, str(folder), kept, classes)._asdict())
        except OSError as error:
            self.forget(job)
            raise RemodalError(f"the files can't be kept until their turn comes ({error.strerror})") from None
