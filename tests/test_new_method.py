"""A method of one's own, from ``remodal methods new`` to a run with it."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
from typer.testing import CliRunner

from remodal.cli import app
from remodal.errors import RemodalError
from remodal.methods.new import write_package

SOURCE = Path(__file__).parents[1]


def python(*arguments: object, cache: Path, site: Path) -> str:
    """What Python says on stdout, with ``site`` to import from; it must end well."""
    path = os.pathsep.join([str(site), *filter(None, sys.path)])
    environment = {**os.environ, "PYTHONPATH": path, "REMODAL_CACHE": str(cache), "OMP_NUM_THREADS": "1"}
    asked = [sys.executable, *map(str, arguments)]
    done = subprocess.run(asked, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_what_is_written_installs_passes_its_checks_and_learns(folder: Path, lite_cache: Path, tmp_path: Path) -> None:
    own, site = tmp_path / "my idea", tmp_path / "site"
    done = CliRunner().invoke(app, ["methods", "new", "my-idea", "--into", str(own)])
    assert done.exit_code == 0, done.output
    assert {path.name for path in own.iterdir()} == {"pyproject.toml", "README.md", "my_idea.py", "test_my_idea.py"}
    assert f"pip install -e '{own}'" in done.stdout

    said = partial(python, cache=lite_cache, site=site)
    said("-m", "ruff", "check", "--config", SOURCE / "pyproject.toml", own)
    said("-m", "ruff", "format", "--check", "--config", SOURCE / "pyproject.toml", own)
    said("-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--target", site, own)
    assert {path.name for path in site.glob("*.py")} == {"my_idea.py"}
    assert "16 passed, 1 skipped" in said("-m", "pytest", "-q", "-p", "no:cacheprovider", own)
    run = ("run", "--stream", folder, "--method", "my-idea", "--out", tmp_path / "run", "prior=2", "--threads", 1)
    assert "agnostic" in said("-m", "remodal", *run)
    assert "image" in said("-m", "remodal", "predict", tmp_path / "run", folder / "image/warm/0.png")


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("ridge", "which is a method already; did you mean 'my-ridge'"),
        ("My Idea", "which isn't of the valid form; did you mean 'my-idea'"),
        ("my_idea", "did you mean 'my-idea'"),
        ("../../my-idea", "did you mean 'my-idea'"),
        ("2nd", "did you mean 'my-2nd'"),
        ("class", "which is a keyword of Python; did you mean 'my-class'"),
        ("json", "and Python has a module json; did you mean 'my-json'"),
        ("torch", "and Python has a module torch"),
        ("method", "whose class Method would hide one that a method needs; did you mean 'my-method'"),
        ("list", "which is a command: remodal methods list"),
        ("a" * 41, "which is longer than 40 characters"),
        ("", "which isn't of the valid form"),
    ],
)
def test_a_name_that_cannot_be_a_methods_is_refused(name: str, why: str, tmp_path: Path) -> None:
    with pytest.raises(RemodalError) as refused:
        write_package(name, tmp_path / "new")
    assert why in str(refused.value)
    assert "valid: letters a-z, digits and single dashes" in str(refused.value)
    assert not (tmp_path / "new").exists()


def test_what_is_in_a_folder_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(RemodalError, match="found a folder that is not empty; valid: a new folder, or an empty one"):
        write_package("my-idea", tmp_path)
    with pytest.raises(RemodalError, match="found a file; valid: a new folder"):
        write_package("my-idea", tmp_path / "thesis.tex")
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]
    (tmp_path / "empty").mkdir()
    assert len(write_package("my-idea", tmp_path / "empty")) == 4
