"""``remodal run`` from end to end, on a folder of one's own."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest

from remodal.cli.conftest import Cli

QUICK = ("--method", "nearest-mean", "--threads", "1")


def test_a_folder_is_learned_and_the_run_folder_left(cli: Cli, own_data: Path) -> None:
    done = cli("run", "--stream", own_data, *QUICK, "stream.classes_per_task=1")
    assert done.exit_code == 0, done.output
    out = Path("runs/own data-nearest-mean-random-0")
    results = json.loads((out / "results.json").read_text())
    assert len(results["tasks"]) == 4
    assert results["settings"]["stream"]["classes_per_task"] == 1
    assert (out / "report.html").is_file()
    assert "report.html" in done.stdout
    assert "router" not in done.stderr
    assert done.stderr.count("task ") == 4
    for word in (
        "aware",
        "agnostic",
        "last",
        "average",
        "forgetting",
        "image",
        "text",
        "modality found",
        "peak memory",
    ):
        assert word in done.stdout


@pytest.mark.parametrize("order", ["mixed", "blurry"])
def test_tasks_need_not_come_whole(cli: Cli, own_data: Path, order: str) -> None:
    done = cli(
        "run", "--stream", own_data, *QUICK, "--order", order, "stream.classes_per_task=1", "stream.disguised=true"
    )
    assert done.exit_code == 0, done.output
    results = json.loads(Path(f"runs/own data-nearest-mean-{order}-0/results.json").read_text())
    assert results["settings"]["stream"]["disguised"]
    assert len(results["steps"]) == {"mixed": 12, "blurry": 4}[order]
    assert done.stderr.count("task ") == len(results["tasks"]) == 4


def test_resume_of_a_finished_run_changes_nothing(cli: Cli, own_data: Path, tmp_path: Path) -> None:
    arguments = ("run", "--stream", own_data, "--out", tmp_path / "x", *QUICK)
    first = cli(*arguments)
    before = (tmp_path / "x" / "results.json").read_bytes()
    again = cli(*arguments)
    assert again.exit_code == 2
    folder = shlex.quote(str(tmp_path / "x"))
    ways = f"choose another with --out, look at it: remodal report {folder}, or remove it: rm -r {folder}"
    assert again.stderr == f"remodal: {tmp_path / 'x'} holds a finished run; {ways}\n"
    resumed = cli(*arguments, "--resume")
    assert resumed.exit_code == 0
    assert resumed.stdout == first.stdout
    assert (tmp_path / "x" / "results.json").read_bytes() == before
    other = cli(*arguments, "--resume", "--seed", "1")
    assert (other.exit_code, "seed differ" in other.stderr) == (2, True)


def test_the_parts_of_the_cost_are_its_sum(cli: Cli, own_data: Path) -> None:
    done = cli("run", "--stream", own_data, *QUICK, "--out", "x")
    seconds = json.loads(Path("x/results.json").read_text())["cost"]["seconds"]
    parts = [seconds[name] for name in ("load", "decode", "stem", "learn", "evaluate", "save", "other")]
    assert sum(parts) == pytest.approx(seconds["total"])
    assert (min(parts) >= 0, seconds["earlier"]) == (True, 0)
    assert seconds["other"] < 0.2 * seconds["total"]
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("cost: ")]
    figures = [float(word) for word in re.findall(r"[0-9]+\.[0-9]", line)]
    assert figures[0] == pytest.approx(sum(figures[1:]), abs=0.05 * len(figures))


def test_what_was_measured_on_is_counted(cli: Cli, own_data: Path) -> None:
    said = cli("run", "--stream", own_data, *QUICK, "--out", "x").stdout
    assert "measured on 8 held-out items, which nothing is learned from; learned from 24" in said
    (image,) = [line for line in said.splitlines() if line.strip().startswith("image")]
    assert "4 of 4" in image
    assert "0.51 to 1.00" in image
    for words in ("aware (modality given)", "agnostic (modality not given)"):
        assert words in said


def test_progress_names_what_is_read(cli: Cli, own_data: Path) -> None:
    said = cli("run", "--stream", own_data, *QUICK, "--out", "x").stderr
    assert "frozen features (16 image): 16 in" in said
    assert "frozen features (16 text): 16 in" in said


def test_a_manifest_of_bad_rows_shows_the_first_of_them(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    rows = [f"absent{number}.txt,text,dog" for number in range(8)]
    (tmp_path / "own/manifest.csv").write_text("\n".join(["path,modality,label", *rows]))
    failed = cli("run", "--stream", tmp_path / "own", "--out", "x")
    assert failed.exit_code == 2
    (line,) = failed.stderr.splitlines()
    assert "found nothing to learn; 8 can't be used: absent0.txt: can't be read" in line
    for number in range(5):
        assert f"absent{number}.txt: can't be read (No such file or directory) (manifest.csv line {number + 2})" in line
    assert "; and 3 more; valid: " in line


def test_a_file_and_what_overrides_it(cli: Cli, own_data: Path, tmp_path: Path) -> None:
    config = tmp_path / "mine.yaml"
    config.write_text(f"stream: {own_data}\nmethod: ridge\norder: sequential\nwidth: 40\n")
    done = cli("run", "--config", config, "width=30", "--seed", 5, "--out", "x", "--threads", 1)
    assert done.exit_code == 0, done.output
    results = json.loads(Path("x/results.json").read_text())
    assert (results["method"], results["order"], results["seed"]) == ("ridge", "sequential", 5)
    assert results["settings"]["method"]["width"] == 30


def test_broken_items_are_set_aside_and_listed(cli: Cli, broken_data: Path) -> None:
    done = cli("run", "--stream", broken_data, *QUICK, "--out", "x")
    assert done.exit_code == 0, done.output
    assert "skipped: 2 items that can't be used" in done.stdout
    assert "text/tea/latin1.txt: " in done.stdout
    assert "image/red/cut.png: " in done.stdout
    listed = [one["path"] for one in json.loads(Path("x/results.json").read_text())["quarantined"]]
    assert sorted(listed) == ["image/red/cut.png", "text/tea/latin1.txt"]


def test_a_strict_run_stops_at_a_broken_item(cli: Cli, broken_data: Path) -> None:
    stopped = cli("run", "--stream", broken_data, *QUICK, "--out", "x", "--strict")
    assert stopped.exit_code == 2
    assert stopped.stderr.splitlines()[-1].startswith("remodal: 2 can't be used: image/red/cut.png: ")
    assert not Path("x/results.json").exists()
    for broken in ("image/red/cut.png", "text/tea/latin1.txt"):
        (broken_data / broken).unlink()
    mended = cli("run", "--stream", broken_data, *QUICK, "--out", "x", "--strict")
    assert mended.exit_code == 0, mended.output


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--stream", "everday"), "unknown stream 'everday'; did you mean 'everyday'?"),
        (("--stream", "everyday", "--method", "riddge"), "did you mean 'ridge'?"),
        (("--stream", "everyday", "--order", "rndom"), "did you mean 'random'?"),
        (("--stream", "everyday", "--backbone", "light"), "did you mean 'lite'?"),
        (("--stream", "everyday", "--device", "abacus"), "unknown device 'abacus';"),
        (("--stream", "everyday", "rnk=1"), "did you mean 'rank'?"),
        ((), "--stream everyday"),
    ],
)
def test_a_mistake_is_one_line_and_exit_status_2(cli: Cli, arguments: tuple[str, ...], says: str) -> None:
    failed = cli("run", *arguments)
    assert failed.exit_code == 2
    assert says in failed.stderr
    assert failed.stderr.count("\n") == 1
    assert failed.stdout == ""


def test_a_folder_that_cannot_be_written_is_one_line_too(cli: Cli, own_data: Path, tmp_path: Path) -> None:
    (tmp_path / "a file").write_text("in the way")
    failed = cli("run", "--stream", own_data, *QUICK, "--out", tmp_path / "a file" / "x")
    assert failed.exit_code == 2
    assert "a file" in failed.stderr.splitlines()[-1]


def test_interrupting_says_how_to_go_on(cli: Cli, own_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("remodal.learning.opening.prepare", interrupted)
    stopped = cli("run", "--stream", own_data, *QUICK)
    assert stopped.exit_code == 130
    assert "--resume" in stopped.stderr.splitlines()[-1]


def test_the_unit_of_a_run_is_its_models(cli: Cli, centimetres: Path) -> None:
    assert cli("run", "--stream", centimetres, *QUICK, "--out", "x", "stream.depth_unit=cm").exit_code == 0
    assert json.loads(Path("x/model/config.json").read_text())["about"]["depth_unit"] == "cm"
    asked = cli("predict", "x", centimetres / "depth/far/1.png", "--top", 1, "--json")
    wrong = cli("predict", "x", centimetres / "depth/far/1.png", "--top", 1, "--json", "--depth-unit", "mm")
    assert json.loads(asked.stdout)["best"][0]["label"] == "far"
    assert asked.stdout != wrong.stdout
