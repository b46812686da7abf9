"""What the cells have left, gathered: ``cells.csv`` and ``predictions.parquet``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
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

Value = float | int | None


@dataclass(frozen=True)
class Finished:
    """A finished cell and its ``results.json``."""

    cell: Cell
    results: Mapping[str, Any]

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


def read_finished(plan: Plan, out: Path) -> list[Finished]:
    """The plan's cells that are finished, in its order."""
    folders = {cell: run_folder(out, cell) for cell in plan.cells}
    return [Finished(cell, read_results(folder)) for cell, folder in folders.items() if (folder / RESULTS).exists()]


def write_cells(stream: str, finished: Sequence[Finished], path: Path) -> None:
    """One row a cell; empty where the method can't say. Figures are whole, not rounded."""
    cells = [{"stream": stream, **one.cell._asdict(), **one.measures} for one in finished]
    write_csv(path, COLUMNS, [[cell[name] for name in COLUMNS] for cell in cells])


def write_predictions(stream: str, finished: Sequence[Finished], out: Path) -> None:
    """The final answer to every held-out item of every cell."""
    tables = []
    for one in finished:
        answers = pq.read_table(run_folder(out, one.cell) / "predictions.parquet", columns=list(ANSWERS.values()))
        own = {"stream": stream, **one.cell._asdict()}
        columns = {name: pa.array([value] * len(answers)) for name, value in own.items()}
        columns |= {name: answers[theirs].combine_chunks() for name, theirs in ANSWERS.items()}
        tables.append(
            pa.table(
                {
                    name: column.dictionary_encode() if pa.types.is_string(column.type) else column
                    for name, column in columns.items()
                }
            )
        )
    with replacing(out / "predictions.parquet") as part:
        pq.write_table(pa.concat_tables(tables).unify_dictionaries(), part, compression="zstd")
