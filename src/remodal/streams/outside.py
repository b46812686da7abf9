"""Data that don't come with the package: a folder of one's own, one behind a URL, or the address of another source."""

from __future__ import annotations

from pathlib import Path

from remodal.streams.folder import list_folder
from remodal.streams.listing import Listing
from remodal.streams.manifest import NAME, list_manifest
from remodal.streams.places import is_url, place_of
from remodal.streams.sources import Address, is_address, sources


def is_elsewhere(where: str | Path) -> bool:
    """Whether ``where`` is a URL or an address, and not the path of a folder, which a Path always is."""
    return isinstance(where, str) and (is_address(where) or is_url(where))


def is_manifest(where: str | Path) -> bool:
    """Whether ``where`` is a CSV file, which names files of its folder."""
    return not is_elsewhere(where) and Path(where).suffix.lower() == ".csv" and Path(where).is_file()


def name_of(where: str | Path) -> str:
    """Short, for a stream of it.

    >>> name_of("parquet:data/birds-*.parquet?image=picture&label=species"), name_of("s3://bucket/birds/")
    ('birds', 'birds')
    """
    if isinstance(where, str) and is_address(where):
        return Address.parsed(where).name
    if isinstance(where, str) and is_url(where):
        return where.rstrip("/").rpartition("/")[2]
    return Path(where).resolve().name


def list_outside(where: str | Path, depth_unit: str | None, undivided: int = 0) -> Listing:
    """The items of a source, of a manifest, or of a folder by its manifest or its layout.

    undivided: where no split is stated, a class of fewer items is all for learning.

    Raises:
        RemodalError: It isn't there, can't be read, or isn't laid out as it should be.
    """
    if isinstance(where, str) and is_address(where):
        address = Address.parsed(where)
        return sources.get(address.kind)(address, depth_unit, undivided)
    if is_manifest(where):
        return list_manifest(place_of(Path(where).parent), depth_unit, undivided, Path(where).name)
    place = place_of(where)
    list_source = list_manifest if place.holds(NAME) else list_folder
    return list_source(place, depth_unit, undivided)
