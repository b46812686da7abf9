"""What a comparison leaves beside its runs: data, tables, figures, and ``table.html``, one page that opens offline."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from remodal import report
from remodal.comparison import figures, tables
from remodal.comparison.collect import Finished, read_finished, write_cells, write_predictions, write_results
from remodal.comparison.plan import Contestant, Plan
from remodal.errors import RemodalError
from remodal.files import write_json, write_text
from remodal.report.words import plural
from remodal.streams.outside import name_of

HERE = Path(__file__).parent
STYLES = Path(report.__file__).parent


def write_table(plan: Plan, out: Path, reference: Contestant, others: Sequence[Finished] = ()) -> list[tables.Row]:
    """Write all files of the table into its folder, from the cells that are finished; what the table shows.

    others: cells that are finished elsewhere.

    Raises:
        RemodalError: No cell is finished.
    """
    finished = read_finished(plan, out, others)
    if not finished:
        raise RemodalError(f"{out}: no cell is finished, so there is nothing to compare")
    write_json(out / "settings.json", {**plan.as_json(), "against": list(reference)})
    write_cells(plan.stream, finished, out / "cells.csv")
    write_results(plan.stream, finished, out)
    write_predictions(plan.stream, finished, out)
    found, between = tables.rows(finished), tables.differences(finished, reference)
    title = f"{name_of(plan.stream)}: {plural(len(finished), 'run')}"
    tables.write_markdown(title, found, between, out / "table.md")
    tables.write_rows(plan.stream, found, out / "table.csv")
    tables.write_differences(between, out / "differences.csv")
    drawn = figures.draw(finished, plan.contestants)
    for one in drawn:
        figures.save(one.figure, out / "figures" / f"{one.name}.svg")
    write_text(out / "table.html", _page(title, plan, finished, found, between, drawn, out))
    return found


def _page(
    title: str,
    plan: Plan,
    finished: Sequence[Finished],
    found: Sequence[tables.Row],
    between: Sequence[tables.Difference],
    drawn: Sequence[figures.Drawn],
    out: Path,
) -> str:
    environment = Environment(
        loader=FileSystemLoader([HERE, STYLES]), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    return environment.get_template("table.html.jinja").render(
        title=title,
        plan=plan,
        missing=[cell.name for cell in plan.cells if cell not in {one.cell for one in finished}],
        rows=tables.by_first(tables.rows_as_text(found)),
        differences=tables.by_first(tables.differences_as_text(between)),
        reference=str(between[0].reference) if between else None,
        drawn=[(one, _embedded(out / "figures" / f"{one.name}.svg")) for one in drawn],
        settings=plan.as_json()["settings"],
        versions=_versions(finished),
    )


def _versions(finished: Sequence[Finished]) -> dict[str, str]:
    """What the runs were made with: where they were made on several machines, or at several times, each of them."""
    found: dict[str, dict[str, None]] = {}
    for one in finished:
        for name, version in one.results["versions"].items():
            found.setdefault(name, {})[version] = None
    return {name: ", ".join(versions) for name, versions in found.items()}


def _embedded(picture: Path) -> str:
    """An SVG file as an address that holds it: in a page of its own kind, names inside it would meet others'."""
    return f"data:image/svg+xml;base64,{base64.b64encode(picture.read_bytes()).decode()}"
