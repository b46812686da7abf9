"""The settings that the walks chose (``tune.py``), as ``remodal compare`` takes them.

A method keeps its defaults, which are its paper's, unless a step of its walk is ahead of them by more than twice the
standard error of the difference; then it takes the best of these steps. So a value of a paper is left only where the
held-out items show that another one is better here.

    remodal compare --stream everyday --methods all $(python benchmarks/tuned.py) --out runs/everyday
    remodal compare --stream everyday --methods l2p,remodal $(python benchmarks/tuned.py l2p,remodal) --out runs/two
"""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path
from typing import Any

TABLE = Path(__file__).parent / "results" / "tuning.csv"


def chosen(table: Path = TABLE) -> dict[str, dict[str, Any]]:
    """By method, the settings that differ from its defaults."""
    with table.open(newline="", encoding="utf-8") as file:
        ahead = [step for step in csv.DictReader(file) if float(step["gain"]) > 2 * float(step["gain_error"])]
    best = {step["method"]: step for step in sorted(ahead, key=lambda step: float(step["gain"]))}
    return {method: json.loads(best[method]["settings"]) for method in sorted(best)}


if __name__ == "__main__":
    compared = sys.argv[1].split(",") if sys.argv[1:] else None
    for method, settings in chosen().items():
        if compared is None or method in compared:
            for name, value in settings.items():
                print(f"--set {method}.{name}={value}")
