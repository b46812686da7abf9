"""The tables of a few made-up cells, and what a plan refuses."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from remodal.comparison.collect import COLUMNS, Finished, write_cells
from remodal.comparison.figures import draw, save
from remodal.comparison.looks import looks
from remodal.comparison.plan import Cell, Contestant, Plan, methods_listed, seeds_listed
from remodal.comparison.tables import blocks, differences, rows, write_markdown, write_rows
from remodal.errors import RemodalError, UnknownName
from remodal.learning.metrics import summary
from remodal.methods import methods

RIDGE, MEAN, ZERO = (Contestant(name, "shared") for name in ("ridge", "nearest-mean", "zero-shot"))


def finished(method: str, seed: int, last: float, order: str = "random", stored: int = 10) -> Finished:
    """A cell of two tasks, one in image and one in text, whose final agnostic accuracies have the mean ``last``."""
    aware: list[list[float | None]] = [[0.1, 0.2], [0.9, 0.4], [0.8, last]]
    agnostic: list[list[float | None]] = [[0.1, 0.2], [0.9, 0.3], [last + 0.1, last - 0.1]]
    results: dict[str, Any] = {
        "summary": {
            "aware": summary(aware),
            "agnostic": summary(agnostic),
            "gap": 0.05,
            "router_accuracy": 0.9,
            "zero_shot_retention": None,
        },
        "per_modality": {
            "image": {"aware": 0.8, "agnostic": last + 0.1},
            "text": {"aware": last, "agnostic": last - 0.1},
        },
        "accuracy": {"aware": aware, "agnostic": agnostic},
        "tasks": [{"modality": "image"}, {"modality": "text"}],
        "cost": {"seconds": {"learn": 1.5}, "stored_bytes": stored},
    }
    return Finished(Cell(order, seed, method, "shared"), results, answers=lambda: pa.table({}))


TABLE = [
    finished(method, seed, last + 0.01 * seed, stored=stored)
    for method, last, stored in (("nearest-mean", 0.5, 10), ("ridge", 0.7, 2000), ("zero-shot", 0.2, 0))
    for seed in (0, 1, 2)
]


def test_means_by_order_the_best_first() -> None:
    found = rows([*TABLE, finished("ridge", 0, 0.6, "sequential")])
    assert [(row.order, row.contestant, row.seeds) for row in found] == [
        ("random", RIDGE, 3), ("random", MEAN, 3), ("random", ZERO, 3), ("sequential", RIDGE, 1),
    ]  # fmt: skip
    ridge = found[0].figures
    assert ridge["agnostic_last"] is not None
    assert ridge["agnostic_last"].mean == pytest.approx(0.71)
    assert ridge["agnostic_last"].half == pytest.approx(4.302653 * 0.01 / 3**0.5, rel=1e-6)  # t(2, .975)
    assert ridge["agnostic_modalities"] is not None
    assert ridge["agnostic_modalities"].mean == pytest.approx(0.71)
    assert found[-1].figures["agnostic_last"] == (pytest.approx(0.6), None, 1)


def test_differences_are_paired() -> None:
    # ridge has no seed 2: its pairs are the other two; every pair differs by the same, so that the interval is 0 wide
    found = differences([one for one in TABLE if one.cell[1:3] != (2, "ridge")], MEAN)
    agnostic = [one for one in found if one.measure.name == "agnostic_last"]
    assert [one.contestant for one in agnostic] == [RIDGE, ZERO]
    assert agnostic[0].interval == (pytest.approx(0.2), pytest.approx(0, abs=1e-9), 2)
    assert agnostic[1].interval == (pytest.approx(-0.3), pytest.approx(0, abs=1e-9), 3)
    assert [one.p for one in agnostic] == [2 / 4, 2 / 8]
    assert [one.p_holm for one in agnostic] == [2 / 4, 4 / 8]


def test_ranks_are_over_what_all_have_finished() -> None:
    found = blocks([one for one in TABLE if one.cell[1:3] != (2, "ridge")], "agnostic_last")
    assert {name: len(values) for name, values in found.items()} == {"nearest-mean": 2, "ridge": 2, "zero-shot": 2}


def test_a_cell_is_a_row_with_every_column(tmp_path: Path) -> None:
    write_cells("everyday", TABLE[:1], tmp_path / "cells.csv")
    with (tmp_path / "cells.csv").open() as file:
        (row,) = csv.DictReader(file)
    assert tuple(row) == COLUMNS
    assert (row["stream"], row["method"], row["zero_shot_retention"]) == ("everyday", "nearest-mean", "")
    assert float(row["agnostic_last"]) == 0.5
    assert float(row["forgetting"]) == pytest.approx(0.3)  # agnostic: .9 - .6
    assert float(row["fwt"]) == pytest.approx(0.2)  # aware: .4 - .2


def test_tables_for_people_and_for_programs(tmp_path: Path) -> None:
    found = rows(TABLE)
    write_markdown("try", found, differences(TABLE, MEAN), tmp_path / "table.md")
    text = (tmp_path / "table.md").read_text()
    assert "| random | ridge | shared | 3 | 71.0 ± 2.5 |" in text
    assert "| agnostic last | zero-shot | shared | 3 | −30.0 ± 0.0 | .250 | .500 |" in text
    write_rows("everyday", found, tmp_path / "table.csv")
    with (tmp_path / "table.csv").open() as file:
        first = next(csv.DictReader(file))
    assert float(first["agnostic_last_low"]) < float(first["agnostic_last"]) < float(first["agnostic_last_high"])


def test_every_figure_is_drawn_and_the_same_each_time(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        for one in draw(TABLE, [RIDGE, MEAN, ZERO]):
            save(one.figure, tmp_path / folder / f"{one.name}.svg")
    pictures = {path.name: path.read_bytes() for path in (tmp_path / "a").iterdir()}
    assert set(pictures) == {
        "accuracy.svg", "gap.svg", "forgetting.svg", "seconds.svg", "bytes.svg", "ranks-shared.svg",
    }  # fmt: skip
    assert pictures == {path.name: path.read_bytes() for path in (tmp_path / "b").iterdir()}


def test_no_two_methods_look_alike() -> None:
    found = looks([Contestant(f"method {index}", "shared") for index in range(100)])
    assert len(set(found.values())) == 100


def test_figures_of_one_cell_alone(tmp_path: Path) -> None:
    drawn = draw(TABLE[-1:], [ZERO])  # nothing stored, no rank
    assert [one.name for one in drawn] == ["accuracy", "gap", "forgetting", "seconds", "bytes"]
    for one in drawn:
        save(one.figure, tmp_path / f"{one.name}.svg")


def test_the_cells_of_a_plan() -> None:
    plan = Plan("everyday", ("ridge", "comm"), ("random",), (0, 1), options={"comm": {"steps": 2}})
    assert [cell.name for cell in plan.cells] == [
        "random-0-ridge-shared", "random-0-comm-shared", "random-1-ridge-shared", "random-1-comm-shared",
    ]  # fmt: skip
    assert [plan.settings(cell).options for cell in plan.cells[:2]] == [{}, {"steps": 2}]
    assert plan.reference() == RIDGE
    assert plan.reference("comm") == plan.reference("comm/shared") == ("comm", "shared")
    with pytest.raises(UnknownName, match="did you mean 'comm'"):
        plan.reference("com")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"methods": ("ridgee",)}, "did you mean 'ridge'?"),
        ({"orders": ("rndom",)}, "did you mean 'random'?"),
        ({"features": ("share",)}, "did you mean 'shared'?"),
        ({"backbone": "lit"}, "did you mean 'lite'?"),
        ({"seeds": (1, 1)}, "seeds: found '1,1'; valid: at least one, and none of them twice"),
        ({"options": {"comm": {"steps": 2}}}, "unknown method of the table 'comm'"),
        ({"options": {"ridge": {"widht": 2}}}, "did you mean 'width'?"),
    ],
)
def test_a_plan_refuses_what_cannot_run(change: dict[str, Any], says: str) -> None:
    with pytest.raises(RemodalError) as caught:
        Plan(**{"stream": "everyday", "methods": ("ridge",), **change})
    assert says in str(caught.value)


def test_lists_on_the_command_line() -> None:
    assert methods_listed("all") == tuple(methods.names())
    assert methods_listed("ridge, comm") == ("ridge", "comm")
    for text in ("0,x", "-1", "", "0,,1"):
        with pytest.raises(RemodalError, match="seeds: found"):
            seeds_listed(text)
