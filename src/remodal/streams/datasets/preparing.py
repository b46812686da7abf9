"""From downloaded files to a stream: the manifest that says what each file is."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from remodal.below import real_path
from remodal.errors import RemodalError, UnknownName
from remodal.features.progress import Progress, Silent
from remodal.files import write_text
from remodal.streams.datasets.base import Dataset, Part, datasets
from remodal.streams.datasets.combined import Combination, Rows, combinations
from remodal.streams.datasets.report import Report, reported
from remodal.streams.datasets.source import Source
from remodal.streams.manifest import NAME, OPTIONAL, REQUIRED

HELD_BY = {"nyuv2": "sunrgbd"}
"""A data set whose items another one has too."""


class Prepared(NamedTuple):
    """What became of downloaded files. manifest: None where a data set has no file that can be used."""

    manifest: Path | None
    tasks: int
    items: int
    reports: tuple[Report, ...]
    says: str


def prepare(names: Sequence[str], root: str | Path, progress: Progress | None = None) -> Prepared:
    """Write ``manifest.csv`` into a folder of downloaded data sets, which makes it a stream like any other.

    Files are looked for, not decoded. Equal files give an equal manifest, to the byte.

    Args:
        names: Of data sets, or one name of a combination of them (:mod:`~remodal.streams.datasets.combined`).
        root: The folder. A data set lies in it, or in a folder of its usual name below it.
        progress: Shows how it goes on.

    Raises:
        RemodalError: A name isn't known, official files are missing (all of them are named, with where they come from)
            or can't be read, or there is another manifest.
    """
    combination = _combination(names)
    folder = Path(root).resolve()
    if not folder.is_dir():
        raise RemodalError(f"{root}: found {'a file' if folder.exists() else 'no such folder'}; valid: a folder")
    sources = _sources(combination.datasets, folder, progress or Silent())
    rows, reports = {}, []
    for name, source in sources.items():
        dataset = datasets.get(name)
        stated = list(dataset.list_rows(source))
        rows[name] = [row for row in stated if source.has(row.path)]
        source.missing += [row.path for row in stated if not source.has(row.path)]
        reports.append(reported(source, dataset, stated, rows[name]))
    if not all(rows.values()):
        return Prepared(None, 0, 0, tuple(reports), combination.says)
    arranged = combination.arrange(rows)
    _write(folder / NAME, _table(folder, sources, arranged))
    every = [row for of_dataset in arranged.values() for row in of_dataset]
    tasks = len({row.task for row in every if row.task})
    return Prepared(folder / NAME, tasks, len(every), tuple(reports), combination.says)


def _combination(names: Sequence[str]) -> Combination:
    """What is asked for: data sets as they are, or a combination that stands alone."""
    for name in names:
        if name not in datasets and name not in combinations:
            raise UnknownName("dataset", name, [*datasets.names(), *combinations.names()])
    whole = [name for name in names if name in combinations]
    if whole and len(set(names)) > 1:
        raise RemodalError(f"found {' '.join(names)}; valid: {whole[0]} alone, which is a whole stream")
    if whole:
        return combinations.get(whole[0])
    if not names:
        valid = ", ".join([*datasets.names(), *combinations.names()])
        raise RemodalError(f"found no name of a dataset; valid: {valid}")
    for one, other in HELD_BY.items():
        if one in names and other in names:
            raise RemodalError(f"found {one} and {other}; valid: one of them, since {other} holds the items of {one}")
    return Combination(tuple(dict.fromkeys(names)), lambda rows: rows, "")


def _sources(names: Sequence[str], root: Path, progress: Progress) -> dict[str, Source]:
    """The folder of each data set. RemodalError, which names all that is missing, where one isn't whole."""
    sources, missing = {}, []
    for name in names:
        dataset = datasets.get(name)
        folder = max((*(root / one for one in dataset.folders), root), key=lambda one: len(_there(dataset, one)))
        there = _there(dataset, folder)
        for part in dataset.parts:
            if part not in there:
                missing.append(f"{(folder / part.names[0]).relative_to(root)} ({part.origin})")
        for path in there.values():
            real_path(root, path, str(path))
        sources[name] = Source(name, folder.resolve(), progress)
    if missing:
        raise RemodalError(f"{root}: missing {', '.join(missing)}")
    return sources


def _there(dataset: Dataset, folder: Path) -> dict[Part, Path]:
    """The parts of a data set that a folder has, and where."""
    return {part: folder / name for part in dataset.parts for name in reversed(part.names) if (folder / name).exists()}


def _table(root: Path, sources: Mapping[str, Source], rows: Rows) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow((*REQUIRED, *OPTIONAL))
    for name, of_dataset in rows.items():
        dataset, folder = datasets.get(name), sources[name].folder.relative_to(root)
        for row in of_dataset:
            path = (folder / row.path).as_posix()
            optional = (row.split, row.group, row.task, row.licence, dataset.unit)
            writer.writerow((path, dataset.modality, row.label, *optional))
    return text.getvalue()


def _write(manifest: Path, text: str) -> None:
    """Write it, unless it is there already. RemodalError where there is another one."""
    if manifest.exists():
        if manifest.read_bytes() == text.encode():
            return
        raise RemodalError(f"{manifest}: found one that says something else; valid: none, so move it away first")
    write_text(manifest, text)
