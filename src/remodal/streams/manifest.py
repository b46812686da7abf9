"""A folder with a ``manifest.csv``, or a CSV file of another name, that says what each file is."""

from __future__ import annotations

import csv
from io import TextIOWrapper
from typing import get_args

from remodal.errors import RemodalError, UnknownName
from remodal.modalities.depth import METRES
from remodal.streams.base import Split
from remodal.streams.files import FileItem, Gathering
from remodal.streams.listing import Listing
from remodal.streams.places import Place
from remodal.streams.splits import split_by_source

NAME = "manifest.csv"
REQUIRED = ("path", "modality", "label")
OPTIONAL = ("split", "group", "task", "licence", "unit")
NOTE = "note"
"""A column for people: it isn't read, nor written where a folder is exported."""
SPLITS: dict[str, Split] = {split: split for split in get_args(Split)}


def list_manifest(place: Place, depth_unit: str | None = None, undivided: int = 0, name: str = NAME) -> Listing:
    """List the files that the folder's manifest names (UTF-8, one row a file), and no others.

    Columns: ``path`` (from the folder), ``modality``, ``label``, and as wanted ``split`` (``train`` or
    ``test``), ``group`` (what must not stand on both sides of a split), ``task`` (items of one modality with
    the same value make one task), ``licence``, ``unit`` (of depth: ``mm``, ``cm``, ``m``, ``sunrgbd``),
    ``note`` (for people).
    Without ``split`` the default split is made (:func:`~remodal.streams.splits.split_by_source`). A row that
    can't be used is set aside.

    Args:
        place: The folder.
        depth_unit: The unit of depth files whose row states none.
        undivided: Where no split is stated, a class of fewer items is all for learning.
        name: The manifest's, in the folder.

    Raises:
        RemodalError: The manifest can't be read, lacks a column, or has one that isn't known.
    """
    file = f"{place}/{name}"
    gathering = Gathering(place, depth_unit)
    try:
        with TextIOWrapper(place.open(name), encoding="utf-8-sig", newline="") as lines:
            rows = csv.reader(lines, strict=True)
            columns = _checked_columns(file, next(rows, []))
            for row in rows:
                _add_row(gathering, columns, row, f"{name} line {rows.line_num}")
    except OSError as error:
        raise RemodalError(f"{file}: can't be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise RemodalError(f"{file}: found bytes that aren't UTF-8; valid: CSV in UTF-8") from error
    except csv.Error as error:
        raise RemodalError(f"{file} line {rows.line_num}: found broken CSV ({error})") from error
    items = _with_whole_tasks(gathering)
    split = tuple(items) if "split" in columns else split_by_source(items, undivided)
    return Listing(split, tuple(gathering.quarantined))


def _checked_columns(file: str, header: list[str]) -> list[str]:
    columns = [name.strip() for name in header]
    missing = [name for name in REQUIRED if name not in columns]
    if missing:
        found = ", ".join(columns) or "none"
        valid = f"{', '.join(REQUIRED)}, and as wanted {', '.join(OPTIONAL)}"
        raise RemodalError(f"{file}: missing column {', '.join(missing)}; found: {found}; valid: {valid}")
    for position, name in enumerate(columns):
        if name not in (*REQUIRED, *OPTIONAL, NOTE):
            raise RemodalError(f"{file}: {UnknownName('column', name, REQUIRED + OPTIONAL)}")
        if name in columns[:position]:
            raise RemodalError(f"{file}: found column {name!r} twice; valid: each column once")
    return columns


def _add_row(gathering: Gathering, columns: list[str], row: list[str], line: str) -> None:
    if not row:
        return
    if len(row) != len(columns):
        gathering.set_aside(line, f"found {len(row)} fields; valid: {len(columns)}, as in the header")
        return
    values = {column: value.strip() for column, value in zip(columns, row, strict=True)}
    path, modality, label = (values.pop(name) for name in REQUIRED)
    values.pop(NOTE, None)
    split, unit = values.pop("split", "train"), values.pop("unit", "")
    if not path:
        gathering.set_aside(line, "found a blank path; valid: a file's path from the folder")
    elif split not in SPLITS:
        gathering.set_aside(path, str(UnknownName("split", split, SPLITS)), line)
    elif unit and unit not in METRES:
        gathering.set_aside(path, str(UnknownName("unit", unit, METRES)), line)
    else:
        gathering.add(path, modality, label, split=SPLITS[split], unit=unit or None, line=line, **values)


def _with_whole_tasks(gathering: Gathering) -> list[FileItem]:
    """The items that fit the stated tasks: all of a modality state one or none does; a class is in one."""
    stated = {item.modality for item in gathering.items if item.task}
    task_of: dict[tuple[str, str], str] = {}
    kept = []
    for item in gathering.items:
        if item.modality in stated and not item.task:
            gathering.set_aside(item.id, f"found no task; valid: one in each {item.modality} row, or in none")
        elif (task := task_of.setdefault((item.modality, item.label), item.task)) != item.task:
            found = f"found class {item.label!r} in task {item.task!r} and above in {task!r}"
            gathering.set_aside(item.id, f"{found}; valid: one task a class")
        else:
            kept.append(item)
    return kept
