"""``remodal compare`` from end to end, on a folder of sentences; and ``benchmarks/verify.py`` on what it leaves."""

from __future__ import annotations

import csv
import json
import runpy
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from remodal.cli.conftest import Cli

BENCHMARK = Path(__file__).parents[3] / "benchmarks" / "verify.py"
Verify = Callable[..., tuple[int, str]]
LEFT = {
    "cells.csv", "differences.csv", "figures", "predictions.parquet", "results.parquet", "runs", "settings.json",
    "table.csv", "table.html", "table.md",
}  # fmt: skip
TEXTS = {"tea": "hot tea", "ship": "a ship", "rain": "rain and wind", "chess": "a game of chess"}


@pytest.fixture
def sentences(tmp_path: Path) -> Path:
    """Four classes of eight sentences."""
    root = tmp_path / "sentences"
    for label, text in TEXTS.items():
        place = root / "text" / label
        place.mkdir(parents=True)
        for number in range(8):
            (place / f"{number}.txt").write_text(f"{text}, {number}")
    return root


@pytest.fixture
def verify(capsys: pytest.CaptureFixture[str]) -> Verify:
    """``verify("table")``: the status and what was printed."""
    main = runpy.run_path(str(BENCHMARK))["main"]

    def verified(*arguments: str) -> tuple[int, str]:
        capsys.readouterr()
        return main(arguments), capsys.readouterr().out

    return verified


def test_a_table_resumes_tells_of_failures_and_can_be_verified(cli: Cli, sentences: Path, verify: Verify) -> None:
    arguments = (
        "compare", "--stream", sentences, "--methods", "nearest-mean,zero-shot", "--orders", "random", "--seeds", "0,1",
        "--set", "stream.classes_per_task=2", "--out", "table", "--jobs", "2",
    )  # fmt: skip
    done = cli(*arguments)
    assert done.exit_code == 0, done.output
    table = Path("table")
    assert {path.name for path in table.iterdir()} == LEFT
    assert "table.html" in done.stdout
    page = (table / "table.html").read_text()
    assert "Differences from nearest-mean (shared)" in page
    assert page.count("data:image/svg+xml;base64,") == len(list((table / "figures").iterdir())) == 5
    assert "http" not in page.replace("http-equiv", "")
    first = (table / "cells.csv").read_bytes()
    assert first.count(b"\n") == 1 + 4
    predictions = pq.read_table(table / "predictions.parquet")
    assert predictions.column_names == [
        "stream", "order", "seed", "method", "features", "item", "truth", "aware", "agnostic",
    ]  # fmt: skip
    assert pa.types.is_dictionary(predictions.schema.field("item").type)
    assert verify("table") == (0, "table: all accuracies are those of the predictions\n")

    # one cell is taken away, another one is damaged: the first is run again, the second one fails, the others stay
    runs = {path.parent.name: path for path in table.glob("runs/*/results.json")}
    before = {name: path.stat().st_mtime_ns for name, path in runs.items()}
    assert not list(table.glob("runs/*/model"))  # a table of hundreds of cells must not fill a disk
    runs["random-0-zero-shot-shared"].unlink()
    settings = runs["random-1-zero-shot-shared"].with_name("settings.json")
    runs["random-1-zero-shot-shared"].unlink()
    (settings.parent / "checkpoint").mkdir()
    settings.write_text(json.dumps({**json.loads(settings.read_text()), "seed": 7}))
    again = cli(*arguments, "--jobs", "1")
    assert again.exit_code == 1
    (line,) = [line for line in again.stderr.splitlines() if "failed" in line]
    assert line.startswith("random-1-zero-shot-shared: failed: ")
    assert "seed differ" in line
    after = {name: path.stat().st_mtime_ns for name, path in runs.items() if path.exists()}
    assert sorted(before.keys() - after.keys()) == ["random-1-zero-shot-shared"]
    assert [name for name in after if after[name] != before[name]] == ["random-0-zero-shot-shared"]
    assert "Not finished, and so not in here: random-1-zero-shot-shared." in (table / "table.html").read_text()
    lines = (table / "cells.csv").read_bytes().splitlines()
    assert [line.rsplit(b",", 2)[0] for line in lines] == [
        line.rsplit(b",", 2)[0] for line in first.splitlines()[:-1]
    ]  # all but the seconds, and the stored bytes after them

    other = cli(*arguments, "--set", "stream.classes_per_task=1")
    assert (other.exit_code, "settings differ" in other.stderr) == (2, True)

    tamper(table)
    status, said = verify("table")
    assert status == 1
    assert "random, 0, nearest-mean, shared: agnostic_last is " in said
    sentences.rename(sentences.with_name("elsewhere"))
    status, said = verify("table")
    assert (status, "table: skipped: unknown stream" in said) == (0, True)
    assert verify("table", "--strict")[0] == 1


def test_a_method_stands_beside_itself_with_other_settings(cli: Cli, sentences: Path, verify: Verify) -> None:
    done = cli(
        "compare", "--stream", sentences, "--methods", "ridge", "--variant", "narrow=ridge",
        "--set", "narrow.width=2", "--set", "ridge.width=30",
        "--orders", "random", "--seeds", "0", "--out", "table", "--jobs", "1",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    table = Path("table")
    asked = json.loads((table / "settings.json").read_text())
    assert asked["methods"] == ["ridge", "narrow"]
    assert asked["variants"] == {"narrow": "ridge"}
    assert [asked["settings"]["method"][name]["width"] for name in asked["methods"]] == [30, 2]
    ran = json.loads((table / "runs" / "random-0-narrow-shared" / "settings.json").read_text())
    assert (ran["method"], ran["settings"]["method"]["width"]) == ("ridge", 2)
    assert "narrow" in (table / "table.md").read_text()
    assert verify("table")[0] == 0


def test_a_table_grows_over_several_commands_and_machines(
    cli: Cli, sentences: Path, verify: Verify, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = (
        "compare", "--stream", sentences, "--methods", "nearest-mean,zero-shot", "--orders", "random",
        "--set", "stream.classes_per_task=2", "--minutes", "10",
    )  # fmt: skip
    here, there = Path("here"), Path("there")
    with monkeypatch.context() as patched:
        begun = partial(Path.exists, here.absolute() / "runs")  # the time is over as soon as a run has begun
        patched.setattr("remodal.comparison.time_limit.time_limit", lambda *_: begun)
        stopped = cli(*arguments, "--seeds", "0,1", "--out", here, "--jobs", "2")
    assert stopped.exit_code == 75
    assert [line for line in stopped.stderr.splitlines() if line.startswith("remodal: ")] == [
        "remodal: stopped: 0 of 4 runs are done; the same command goes on from here, and writes the table when all are"
    ]
    assert stopped.stdout == ""
    assert [path.name for path in here.iterdir()] == ["runs"]  # no table that could be taken for the whole
    runs = list((here / "runs").iterdir())
    assert 1 <= len(runs) <= 2  # processes
    assert all((path / "checkpoint").is_dir() for path in runs)

    assert cli(*arguments, "--seeds", "1", "--out", there, "--jobs", "1").exit_code == 0
    shutil.copytree(there / "runs", here / "runs", dirs_exist_ok=True)
    copied = {path: path.stat().st_mtime_ns for path in here.glob("runs/*/results.json")}
    assert len(copied) == 2

    done = cli(*arguments, "--seeds", "0,1", "--out", here, "--jobs", "1")
    assert done.exit_code == 0, done.output
    assert {path.name for path in here.iterdir()} == LEFT
    assert copied == {path: path.stat().st_mtime_ns for path in copied}
    cells = (here / "cells.csv").read_bytes()
    assert cells.count(b"\n") == 1 + 4
    assert verify("here")[0] == 0

    # where all cells are finished, neither the data nor the frozen features are needed
    sentences.rename(sentences.with_name("elsewhere"))
    shutil.move(here / "runs", "together/runs")
    monkeypatch.setenv("REMODAL_CACHE", "nowhere")
    assert cli(*arguments, "--seeds", "0,1", "--out", "together").exit_code == 0
    assert Path("together/cells.csv").read_bytes() == cells
    assert not Path("nowhere").exists()


def test_another_tables_runs_are_taken_from_it(cli: Cli, sentences: Path, verify: Verify) -> None:
    arguments = (
        "compare", "--stream", sentences, "--orders", "random", "--set", "stream.classes_per_task=2", "--jobs", "1",
    )  # fmt: skip
    table = ("--methods", "nearest-mean,ridge,zero-shot", "--seeds", "0,1")
    whole, other = Path("whole"), Path("other")
    assert cli(*arguments, *table, "--out", whole).exit_code == 0
    assert cli(*arguments, "--methods", "ridge,nearest-mean", "--seeds", "1,0", "--out", other).exit_code == 0
    shutil.rmtree(other / "runs")  # as a table that someone has published

    grown = cli(*arguments, *table, "--out", "grown", "--extend", other)
    assert grown.exit_code == 0, grown.output
    assert "4 of 6 runs are taken from other" in grown.stderr
    made = {path.name for path in Path("grown/runs").iterdir()}
    assert made == {"random-0-zero-shot-shared", "random-1-zero-shot-shared"}
    assert verify("grown")[0] == 0
    answers = [pq.read_table(folder / "predictions.parquet").to_pylist() for folder in (Path("grown"), whole)]
    assert answers[0] == answers[1]
    assert [row[:-2] for row in read_rows("grown")] == [row[:-2] for row in read_rows(whole)]  # all but what it cost
    kept = pq.read_table("grown/results.parquet").to_pylist()
    of_other = pq.read_table(other / "results.parquet").to_pylist()
    assert all(row in kept for row in of_other)

    # in its own folder, with nothing left to do: neither the data nor the frozen features are needed
    sentences.rename(sentences.with_name("elsewhere"))
    assert cli(*arguments, *table, "--out", other, "--extend", "grown").exit_code == 0
    assert (other / "cells.csv").read_bytes() == Path("grown/cells.csv").read_bytes()


def test_another_tables_runs_are_of_the_same_settings(cli: Cli, sentences: Path) -> None:
    arguments = ("compare", "--stream", sentences, "--orders", "random", "--seeds", "0", "--methods", "ridge")
    assert cli(*arguments, "--set", "ridge.width=30", "--out", "table").exit_code == 0
    narrow = cli(*arguments, "--set", "ridge.width=2", "--out", "narrow", "--extend", "table")
    assert narrow.exit_code == 2
    assert narrow.stderr.splitlines() == [
        "remodal: table: random-0-ridge-shared: was made with settings.method.width 30, and 2 is asked for; "
        "valid: the table's own settings, or no --extend"
    ]
    assert not Path("narrow").exists()

    (row,) = pq.read_table("table/results.parquet").to_pylist()
    ran = json.loads(row["results"])
    ran["settings"]["method"]["gone"] = 1  # a setting that there was when the table was made
    Path("earlier").mkdir()
    pq.write_table(pa.Table.from_pylist([{**row, "results": json.dumps(ran)}]), "earlier/results.parquet")
    shutil.copy("table/predictions.parquet", "earlier")
    earlier = cli(*arguments, "--set", "ridge.width=30", "--out", "narrow", "--extend", "earlier")
    assert (earlier.exit_code, "settings.method.gone 1, and None is asked for" in earlier.stderr) == (2, True)

    for damaged, says in (
        ("cut", "can't be read"), ("other", "found no column results"), ("gone", "there is none"),
        ("torn", "random-0-ridge-shared: found no JSON"),
    ):  # fmt: skip
        folder = Path(damaged)
        shutil.copytree("table", folder)
        kept = folder / "results.parquet"
        if damaged == "cut":
            kept.write_bytes(kept.read_bytes()[:-20])
        elif damaged == "other":
            shutil.copy(folder / "predictions.parquet", kept)
        elif damaged == "torn":
            pq.write_table(pa.Table.from_pylist([{**row, "results": row["results"][:-9]}]), kept)
        else:
            kept.unlink()
        failed = cli(*arguments, "--out", "fourth", "--extend", folder)
        assert failed.exit_code == 2
        assert f"{kept}: {says}" in failed.stderr
        assert "valid: the folder of a finished table" in failed.stderr
        assert failed.stderr.count("\n") == 1

    answers = Path("fourth/predictions.parquet")
    shutil.copytree("table", "fourth")
    pq.write_table(pq.read_table(answers).slice(0, 0), answers)
    failed = cli(*arguments, "--set", "ridge.width=30", "--out", "fifth", "--extend", "fourth")
    assert (failed.exit_code, "found no answer of random-0-ridge-shared" in failed.stderr) == (2, True)


def read_rows(table: Path | str) -> list[list[str]]:
    """Of ``cells.csv``."""
    with (Path(table) / "cells.csv").open(newline="") as file:
        return list(csv.reader(file))


def test_time_for_nothing_is_a_mistake(
    cli: Cli, sentences: Path, graphs_only: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REMODAL_CACHE", str(graphs_only))  # a stream that no test has seen
    arguments = ("compare", "--stream", sentences, "--methods", "zero-shot", "--minutes", "0", "--out", "table")
    assert cli(*arguments).exit_code == 75  # some features are stored by now
    again = cli(*arguments)
    assert again.exit_code == 2  # a loop until it isn't 75 would never end
    assert "remodal: the time was over before a run could begin" in again.stderr
    assert not Path("table").exists()


def tamper(table: Path) -> None:
    """Turn the first answer that is right into a wrong one."""
    path = table / "predictions.parquet"
    found = pq.read_table(path)
    answers = found["agnostic"].cast(pa.string()).to_pylist()
    place = pc.index(pc.equal(found["agnostic"].cast(pa.string()), found["truth"].cast(pa.string())), True).as_py()
    answers[place] = "nothing of the kind"
    pq.write_table(found.set_column(found.column_names.index("agnostic"), "agnostic", pa.array(answers)), path)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--stream", "everday"), "did you mean 'everyday'?"),
        (("--stream", "everyday", "--methods", "ridge,zeroshot"), "did you mean 'zero-shot'?"),
        (("--stream", "everyday", "--orders", "random,sequentiall"), "did you mean 'sequential'?"),
        (("--stream", "everyday", "--features", "publishd"), "did you mean 'published'?"),
        (("--stream", "everyday", "--seeds", "0-4"), "seeds: found '0-4'; valid: whole numbers from 0"),
        (("--stream", "everyday", "--set", "steps=2"), "found 'steps'; valid: METHOD.KEY=VALUE"),
        (("--stream", "everyday", "--set", "comm.step=2"), "did you mean 'steps'?"),
        (("--stream", "everyday", "--set", "com.steps=2"), "did you mean 'comm'?"),
        (("--stream", "everyday", "--against", "com"), "did you mean 'comm'?"),
        (("--stream", "everyday", "--variant", "alone=com"), "did you mean 'comm'?"),
        (("--stream", "everyday", "--variant", "ridge=comm"), "found 'ridge'; valid: letters, digits, + and -"),
        (("--stream", "everyday", "--variant", "alone"), "found 'alone'; valid: NAME=METHOD"),
    ],
)
def test_a_mistake_is_one_line_and_exit_status_2(cli: Cli, arguments: tuple[str, ...], says: str) -> None:
    failed = cli("compare", *arguments)
    assert failed.exit_code == 2
    assert says in failed.stderr
    assert failed.stderr.count("\n") == 1
