"""The committed tables in short, as Markdown: a row a method, a column a table and kind of features.

Figures are the agnostic accuracy after the last task in per cent, mean over orders and seeds, and half of its 95 %
interval (Student's t over all of them); methods stand in the order of the first column.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from targets import Table, read
from verify import RESULTS

from remodal.comparison.statistics import t_interval


def cell(table: Table, method: str, features: str, measure: str) -> str:
    """One entry; a dash where the method wasn't run."""
    rows = table.get((method, features), {})
    found = [float(row[measure]) for row in rows.values() if row[measure]]
    if not found:
        return "–"
    one = t_interval(found)
    return f"{100 * one.mean:.1f}" + ("" if one.half is None else f" ± {100 * one.half:.1f}")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", nargs="+", help="folders in results/, such as everyday field")
    parser.add_argument("--measure", default="agnostic_last", help="a column of cells.csv")
    asked = parser.parse_args()
    tables = {name: read(Path(RESULTS) / name) for name in asked.tables}
    columns = [(name, kind) for name, table in tables.items() for kind in dict.fromkeys(kind for _, kind in table)]
    methods = list(dict.fromkeys(method for table in tables.values() for method, _ in table))
    first = {method: cell(tables[columns[0][0]], method, columns[0][1], asked.measure) for method in methods}
    methods.sort(key=lambda method: -float(first[method].partition(" ")[0].replace("–", "-1")))
    print("| method | " + " | ".join(f"`{name}`, {kind}" for name, kind in columns) + " |")
    print("|---" * (1 + len(columns)) + "|")
    for method in methods:
        print(
            f"| `{method}` | " + " | ".join(cell(tables[n], method, kind, asked.measure) for n, kind in columns) + " |"
        )


if __name__ == "__main__":
    main()
