"""A folder of one's own files: ``<modality>/<class>/<files>``."""

from __future__ import annotations

from pathlib import PurePosixPath

from remodal.errors import RemodalError, UnknownName
from remodal.modalities import get_modality
from remodal.streams.files import Gathering
from remodal.streams.listing import Listing
from remodal.streams.places import Entry, Place
from remodal.streams.splits import split_by_source

LAYOUT = "<modality>/<class>/<files>"


def list_folder(place: Place, depth_unit: str | None = None, undivided: int = 0) -> Listing:
    """List the items of a folder, with the default split (:func:`~remodal.streams.splits.split_by_source`).

    A class is named after its folder, underscores being spaces. Hidden files are left out, and so are files
    beside the modality folders and, unless they look like misplaced items, beside the class folders.

    Args:
        place: The folder.
        depth_unit: The unit of its depth files (``"mm"``, ``"cm"``, ``"m"``, ``"sunrgbd"``), if they
            don't say it themselves.
        undivided: A class of fewer files is not split: all are for learning.

    Raises:
        RemodalError: The folder can't be read.
    """
    gathering = Gathering(place, depth_unit)
    try:
        top = place.entries()
    except OSError as error:
        raise RemodalError(f"{place}: the folder can't be read ({error.strerror})") from error
    for entry in top:
        if entry.is_folder:
            _add_modality(gathering, entry.name)
    return Listing(split_by_source(gathering.items, undivided), tuple(gathering.quarantined))


def _add_modality(gathering: Gathering, modality: str) -> None:
    try:
        suffixes = get_modality(modality).suffixes
    except UnknownName as error:
        gathering.set_aside(modality, str(error))
        return
    for entry in _read(gathering, modality):
        if entry.is_folder:
            _add_class(gathering, modality, entry.name)
        elif PurePosixPath(entry.name).suffix.lower() in suffixes:
            reason = f"found a file in no class folder; valid: {LAYOUT}"
            gathering.set_aside(f"{modality}/{entry.name}", reason)


def _add_class(gathering: Gathering, modality: str, name: str) -> None:
    for entry in _read(gathering, f"{modality}/{name}"):
        item_path = f"{modality}/{name}/{entry.name}"
        if entry.is_folder:
            gathering.set_aside(item_path, f"found a folder inside a class folder; valid: {LAYOUT}")
        else:
            gathering.add(item_path, modality, name.replace("_", " "))


def _read(gathering: Gathering, folder: str) -> list[Entry]:
    """What a folder below the root holds; it is set aside where it holds nothing or can't be read."""
    try:
        entries = gathering.place.entries(folder)
    except OSError as error:
        gathering.set_aside(folder, f"the folder can't be read ({error.strerror})")
        return []
    if not entries:
        gathering.set_aside(folder, f"found an empty folder; valid: {LAYOUT}")
    return entries
