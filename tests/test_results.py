"""The committed results: they follow from their predictions, and what is said of them follows from them."""

from __future__ import annotations

import runpy
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results"
FIELD = "field"
"""Its recordings lie beside some checkouts alone."""


Benchmark = Callable[..., str]


@pytest.fixture
def benchmark(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Benchmark:
    """``benchmark("verify", "results/everyday")``: what the script prints; it has to end with status 0."""
    monkeypatch.syspath_prepend(ROOT / "benchmarks")

    def run(name: str, *arguments: str) -> str:
        script = str(ROOT / "benchmarks" / f"{name}.py")
        monkeypatch.setattr("sys.argv", [script, *arguments])
        try:
            runpy.run_path(script, run_name="__main__")
        except SystemExit as ended:
            assert not ended.code, capsys.readouterr()
        return capsys.readouterr().out

    return run


@pytest.mark.parametrize("tables", [["everyday-few-2"], pytest.param([], id="all", marks=pytest.mark.long)])
def test_every_accuracy_follows_from_the_predictions(benchmark: Benchmark, tables: list[str]) -> None:
    there = tables or [path.parent.name for path in RESULTS.glob("*/cells.csv")]
    said = benchmark("verify", *(str(RESULTS / table) for table in tables)).splitlines()
    assert len(said) == len(there)
    found = {Path(table).name: what for table, what in (line.split(": ", 1) for line in said)}
    for table in set(there) - {FIELD}:
        assert found[table] == "all accuracies are those of the predictions"


@pytest.mark.long  # of committed results, which change rarely
def test_what_is_said_of_the_targets_follows_from_the_tables(benchmark: Benchmark) -> None:
    said = (RESULTS / "targets.txt").read_text(encoding="utf-8").splitlines()
    found = benchmark("targets").splitlines()
    assert found == said


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
def test_tables_in_prose_are_those_of_the_results(benchmark: Benchmark, page: str, arguments: list[str]) -> None:
    _, _, *rows = benchmark("summary", *arguments).splitlines()
    shown = (ROOT / page).read_text(encoding="utf-8").splitlines()
    assert [row for row in rows if row not in shown] == []


def test_the_committed_results_stay_small() -> None:
    assert sum(path.stat().st_size for path in RESULTS.rglob("*") if path.is_file()) <= 10_000_000
