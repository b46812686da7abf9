"""What the cells have left, gathered: ``cells.csv``, ``results.parquet`` and ``predictions.parquet``."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from remodal.comparison.plan import Cell, Plan, run_folder
from remodal.files import replacing, write_csv
from remodal.learning.metrics import mean
from remodal.learning.run import RESULTS
from remodal.report.folder import read_results

COLUMNS = (
    "stream", "order", "seed", "method", "features", "aware_last", "agnostic_last", "aware_average", "agnostic_average",
    "forgetting", "bwt", "fwt", "gap", "router_accuracy", "zero_shot_retention", "seconds", "stored_bytes",
)  # fmt: skip
ANSWERS = {"item": "item", "truth": "label", "aware": "aware", "agnostic": "agnostic"}
"""Columns of ``predictions.parquet``, and what a run calls them."""
PREDICTIONS = "predictions.parquet"
KEPT = "results.parquet"
COMPRESSION = 19
"""Of zstd: what hundreds of runs say is much alike, and it is written once."""

Value = float | int | None


@dataclass(frozen=True)
class Finished:
    """A finished cell and its ``results.json``. answers: reads its rows of ``predictions.parquet``, ``ANSWERS``."""

    cell: Cell
    results: Mapping[str, Any]
    answers: Callable[[], pa.Table]

    @cached_property
    def measures(self) -> dict[str, Value]:
        """The figures of ``cells.csv``, and the two means over the modalities; None where the method can't say.

        Forgetting and BWT are the agnostic ones. FWT is the aware one: of a task to come the aware candidates are its
        own classes alone, so that rows compare; the agnostic ones grow in number with every task, which is no transfer.
        """
        summary, cost, parts = self.results["summary"], self.results["cost"], self.results["per_modality"].values()
        aware, agnostic = summary["aware"], summary["agnostic"]
        return {
            "aware_last": aware["last"],
            "agnostic_last": agnostic["last"],
            "aware_average": aware["average"],
            "agnostic_average": agnostic["average"],
            "forgetting": agnostic["forgetting"],
            "bwt": agnostic["bwt"],
            "fwt": aware["fwt"],
            "gap": summary["gap"],
            "router_accuracy": summary["router_accuracy"],
            "zero_shot_retention": summary["zero_shot_retention"],
            "seconds": cost["seconds"]["learn"],
            "stored_bytes": cost["stored_bytes"],
            "aware_modalities": mean(part["aware"] for part in parts),
            "agnostic_modalities": mean(part["agnostic"] for part in parts),
        }


def read_finished(plan: Plan, out: Path, others: Sequence[Finished] = ()) -> list[Finished]:
    """The plan's cells that are finished in ``out``, and the others, in the plan's order."""
    found = {one.cell: one for one in others}
    for cell in plan.cells:
        folder = run_folder(out, cell)
        if is_finished(folder):
            found[cell] = Finished(cell, read_results(folder), partial(_answers, folder))
    return [found[cell] for cell in plan.cells if cell in found]


def is_finished(folder: Path) -> bool:
    """Whether the run in it is."""
    return (folder / RESULTS).exists()


def write_cells(stream: str, finished: Sequence[Finished], path: Path) -> None:
    """One row a cell; empty where the method can't say. Figures are whole, not rounded."""
    cells = [{"stream": stream, **one.cell._asdict(), **one.measures} for one in finished]
    write_csv(path, COLUMNS, [[cell[name] for name in COLUMNS] for cell in cells])


def write_results(stream: str, finished: Sequence[Finished], out: Path) -> None:
    """The whole ``results.json`` of every cell, as text: with the predictions it stands for the folders of the runs."""
    rows = [{"stream": stream, **one.cell._asdict(), "results": json.dumps(one.results)} for one in finished]
    _write(pa.Table.from_pylist(rows), out / KEPT)


def write_predictions(stream: str, finished: Sequence[Finished], out: Path) -> None:
    """The final answer to every held-out item of every cell."""
    tables = []
    for one in finished:
        answers = one.answers()
        own = {"stream": stream, **one.cell._asdict()}
        columns = {name: pa.array([value] * len(answers)) for name, value in own.items()}
        columns |= {name: answers[name].combine_chunks() for name in ANSWERS}
        tables.append(
            pa.table(
                {
                    name: column.dictionary_encode() if pa.types.is_string(column.type) else column
                    for name, column in columns.items()
                }
            )
        )
    _write(pa.concat_tables(tables).unify_dictionaries(), out / PREDICTIONS)


def _answers(folder: Path) -> pa.Table:
    """Of a run's folder."""
    found = pq.read_table(folder / "predictions.parquet", columns=list(ANSWERS.values()))
    return found.rename_columns(list(ANSWERS))


def _write(table: pa.Table, path: Path) -> None:
    with replacing(path) as part:
        pq.write_table(table, part, compression="zstd", compression_level=COMPRESSION)
