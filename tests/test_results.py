"""The committed results: they follow from their predictions, reach the targets, and are what the README shows."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results"


def benchmark(name: str, *arguments: str) -> str:
    """What the script prints; it has to end with status 0."""
    command = [sys.executable, str(ROOT / "benchmarks" / f"{name}.py"), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_every_accuracy_follows_from_the_predictions() -> None:
    tables = [path.parent.name for path in RESULTS.glob("*/cells.csv")]
    said = benchmark("verify").splitlines()
    assert len(said) == len(tables)
    assert sum(line.endswith("everyday: all accuracies are those of the predictions") for line in said) == 1


def test_every_target_is_reached() -> None:
    *lines, total = benchmark("targets").splitlines()
    assert all(line.startswith("reached ") for line in lines)
    assert total == f"{len(lines)} of {len(lines)} reached"


@pytest.mark.parametrize(
    ("page", "arguments"),
    [
        ("README.md", ["everyday", "field"]),
        ("benchmarks/README.md", ["everyday-long"]),
        ("benchmarks/README.md", ["everyday-few-2", "everyday-few-5"]),
        ("benchmarks/README.md", ["everyday-untidy", "--each-order"]),
        ("benchmarks/README.md", ["everyday-disguised"]),
    ],
)
def test_tables_in_prose_are_those_of_the_results(page: str, arguments: list[str]) -> None:
    _, _, *rows = benchmark("summary", *arguments).splitlines()
    shown = (ROOT / page).read_text(encoding="utf-8").splitlines()
    assert [row for row in rows if row not in shown] == []


def test_the_committed_results_stay_small() -> None:
    assert sum(path.stat().st_size for path in RESULTS.rglob("*") if path.is_file()) <= 10_000_000
