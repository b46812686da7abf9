"""Runs that another table has: what it keeps of them stands for their folders, on any machine."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import partial, reduce
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from remodal.comparison.collect import ANSWERS, KEPT, PREDICTIONS, Finished, is_finished
from remodal.comparison.plan import Cell, Plan, run_folder
from remodal.errors import RemodalError
from remodal.learning.settings import RunSettings
from remodal.report.folder import checked_results

VALID = "valid: the folder of a finished table, with its results.parquet and predictions.parquet"


def taken(plan: Plan, out: Path, tables: Sequence[Path]) -> list[Finished]:
    """The plan's cells that other tables have finished, and ``out`` has not; each from the first table that has it.

    Raises:
        RemodalError: One of ``tables`` is no table's folder, or has one of the plan's cells with other settings.
    """
    found: dict[Cell, Finished] = {}
    for table in tables:
        found = {one.cell: one for one in _cells_of(plan, table)} | found
    return [one for cell, one in found.items() if not is_finished(run_folder(out, cell))]


def _cells_of(plan: Plan, table: Path) -> list[Finished]:
    kept, predictions = _read(table, KEPT), _read(table, PREDICTIONS)
    rows = {_cell(row): row["results"] for row in kept.to_pylist()}
    answered = {_cell(row) for row in predictions.group_by(list(Cell._fields)).aggregate([]).to_pylist()}
    found = []
    for cell in plan.cells:
        if cell in rows:
            results = _results(rows[cell], f"{table / KEPT}: {cell.name}")
            _refuse_others(plan.settings(cell), results, f"{table}: {cell.name}")
            if cell not in answered:
                raise RemodalError(f"{table / PREDICTIONS}: found no answer of {cell.name}; {VALID}")
            found.append(Finished(cell, results, partial(_answers, predictions, cell)))
    return found


def _cell(row: Mapping[str, Any]) -> Cell:
    return Cell(*(row[name] for name in Cell._fields))


def _results(text: Any, where: str) -> dict[str, Any]:
    try:
        return checked_results(json.loads(text), where)
    except (TypeError, ValueError) as error:
        raise RemodalError(f"{where}: found no JSON ({error}); {VALID}") from None


def _read(table: Path, name: str) -> pa.Table:
    try:
        found = pq.read_table(table / name)
    except (OSError, pa.ArrowException) as error:
        reason = "there is none" if not (table / name).exists() else f"can't be read ({error})"
        raise RemodalError(f"{table / name}: {reason}; {VALID}") from None
    needed = (*Cell._fields, *(ANSWERS if name == PREDICTIONS else ["results"]))
    if missing := [column for column in needed if column not in found.column_names]:
        raise RemodalError(f"{table / name}: found no column {', '.join(missing)}; {VALID}")
    return found


def _refuse_others(asked: RunSettings, results: Mapping[str, Any], where: str) -> None:
    ours = asked.as_json()
    theirs = asked.completed({name: results.get(name) for name in ours})
    for name, wanted, found in _differing(ours, theirs):
        reason = f"was made with {name} {found!r}, and {wanted!r} is asked for"
        raise RemodalError(f"{where}: {reason}; valid: the table's own settings, or no --extend")


def _differing(asked: dict[str, Any], found: dict[str, Any], of: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Names, joined by dots, of what differs, and both values; None where it isn't there."""
    for name in asked | found:
        wanted, made = asked.get(name), found.get(name)
        if isinstance(wanted, dict) and isinstance(made, dict):
            yield from _differing(wanted, made, f"{of}{name}.")
        elif wanted != made:
            yield f"{of}{name}", wanted, made


def _answers(predictions: pa.Table, cell: Cell) -> pa.Table:
    own = reduce(pc.and_, (pc.equal(predictions[name], value) for name, value in cell._asdict().items()))
    return predictions.filter(own).select(list(ANSWERS))
