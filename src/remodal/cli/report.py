"""``remodal report``: write a run's report again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def command(run: Annotated[Path, typer.Argument(help="The folder of a finished run.")]) -> None:
    """Write report.html of a finished run, and print its summary.

    \b
    remodal report runs/everyday-remodal-random-0
    """
    import json

    from remodal.cli.console import results_console
    from remodal.cli.summary import print_summary
    from remodal.errors import RemodalError
    from remodal.report import write_report

    results = run / "results.json"
    if not results.is_file():
        raise RemodalError(f"{run}: found no results.json; valid: the folder of a finished run")
    console = results_console()
    report = write_report(run)
    print_summary(json.loads(results.read_text(encoding="utf-8")), console)
    console.print(f"report: {report}")
