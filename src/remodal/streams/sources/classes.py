"""``classes:FOLDER?modality=image``: a folder for each class, all of one modality, as torchvision's ``ImageFolder``.

FOLDER/<class>/...            files, in folders below if there are any
FOLDER/train/<class>/...      or so, where the splits are stated, and
FOLDER/test/<class>/...       test, or val
"""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import Field

from remodal.errors import RemodalError
from remodal.modalities import get_modality
from remodal.settings import Settings
from remodal.streams.base import Split
from remodal.streams.files import Gathering
from remodal.streams.listing import Listing
from remodal.streams.places import Place, place_of
from remodal.streams.sources.address import Address, checked, sources
from remodal.streams.sources.splits import TRAIN, sides
from remodal.streams.splits import split_by_source


class ClassesOptions(Settings):
    """Options of ``classes:``."""

    modality: str = Field(description="of all files")


@sources.add("classes")
def list_classes(address: Address, depth_unit: str | None, undivided: int) -> Listing:
    """The files below each class's folder; RemodalError where there is no such folder.

    Without stated splits the default one is made. Underscores in a class's name are spaces.
    """
    modality = get_modality(checked(address, ClassesOptions).modality).name
    place = place_of(address.where)
    gathering = Gathering(place, depth_unit)
    try:
        folders = [entry.name for entry in place.entries() if entry.is_folder]
        stated = sides(folders) if set(folders) & set(TRAIN) else {}
        for above, split in stated.items():
            _add_classes(gathering, f"{above}/", modality, split)
        if not stated:
            _add_classes(gathering, "", modality, "train")
    except OSError as error:
        raise RemodalError(f"{place}: can't be read ({error.strerror})") from error
    items = tuple(gathering.items) if len(stated) > 1 else split_by_source(gathering.items, undivided)
    return Listing(items, tuple(gathering.quarantined))


def _add_classes(gathering: Gathering, above: str, modality: str, split: Split) -> None:
    for entry in gathering.place.entries(above.rstrip("/")):
        if entry.is_folder:
            for path in _files(gathering.place, above + entry.name):
                gathering.add(path, modality, entry.name.replace("_", " "), split=split)


def _files(place: Place, folder: str) -> Iterator[str]:
    """All files below ``folder``, folder by folder."""
    for entry in place.entries(folder):
        path = f"{folder}/{entry.name}"
        if entry.is_folder:
            yield from _files(place, path)
        else:
            yield path
