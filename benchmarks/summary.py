"""The committed tables in short, as Markdown: a row a method, a column a table and kind of features.

Figures are means over orders and seeds in per cent (``--measure``: by default the agnostic accuracy after the last
task), and half of the 95 % interval (Student's t over all of them); ``--each-order`` gives each order a column of its
own. Methods stand in the order of the first column.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import NamedTuple

from targets import Table, read
from verify import RESULTS

from remodal.comparison.statistics import t_interval


class Column(NamedTuple):
    """Which cells are averaged. order: None for all of them."""

    table: str
    features: str
    order: str | None

    def __str__(self) -> str:
        return ", ".join([f"`{self.table}`", self.features, *([self.order] if self.order else [])])


def columns_of(tables: dict[str, Table], each_order: bool) -> list[Column]:
    """In the order of the tables."""
    found = []
    for name, table in tables.items():
        for features in dict.fromkeys(kind for _, kind in table):
            orders = {order for (_, kind), rows in table.items() if kind == features for order, _ in rows}
            found += [Column(name, features, order) for order in (sorted(orders) if each_order else [None])]
    return found


def cell(table: Table, method: str, column: Column, measure: str) -> str:
    """One entry; a dash where the method wasn't run."""
    rows = table.get((method, column.features), {})
    found = [float(row[measure]) for (order, _), row in rows.items() if row[measure] and column.order in (None, order)]
    if not found:
        return "–"
    one = t_interval(found)
    return f"{100 * one.mean:.1f}" + ("" if one.half is None else f" ± {100 * one.half:.1f}")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", nargs="+", help="folders in results/, such as everyday field")
    parser.add_argument("--measure", default="agnostic_last", help="a column of cells.csv")
    parser.add_argument("--each-order", action="store_true", help="a column an order")
    asked = parser.parse_args()
    tables = {name: read(Path(RESULTS) / name) for name in asked.tables}
    columns = columns_of(tables, asked.each_order)
    methods = list(dict.fromkeys(method for table in tables.values() for method, _ in table))
    rows = [[cell(tables[one.table], method, one, asked.measure) for one in columns] for method in methods]
    ranked = sorted(zip(methods, rows), key=lambda row: -float(row[1][0].partition(" ")[0].replace("–", "-1")))
    print("| method | " + " | ".join(map(str, columns)) + " |")
    print("|---" * (1 + len(columns)) + "|")
    for method, cells in ranked:
        print(f"| `{method}` | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
