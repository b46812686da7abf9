"""Packages of methods that can't be used: one line each, and everything else works."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

Shell = Callable[..., subprocess.CompletedProcess[str]]

A_METHOD = """
from remodal.methods import methods
from remodal.methods.nearest_mean import NearestMean

@methods.add("{name}")
class OneMore(NearestMean):
    \"\"\"Nearest mean under another name.\"\"\"
"""
BROKEN: Mapping[str, tuple[str, str]] = {
    "lacks-a-module": ("import no_such_module_at_all", "ModuleNotFoundError: No module named 'no_such_module_at_all'"),
    "divides": ("1 / 0", "ZeroDivisionError: division by zero"),
    "exits": ("raise SystemExit('no licence')", "SystemExit: no licence"),
    "misspelt": ("def :", "SyntaxError: "),
    "clears-the-screen": (r"raise ValueError('\x1b[2J one' + chr(10) + 'two')", "ValueError: [2J one two"),
    "clashes": (
        A_METHOD.format(name="ridge"),
        "ValueError: method 'ridge' is registered twice, in remodal.methods.ridge and in clashes",
    ),
    "half": (A_METHOD.format(name="half") + "raise ImportError('the rest')", "ImportError: the rest"),
    "registers-nothing": ("", "importing registers_nothing registers no method; valid: a class under @methods.add("),
    "no-class": (
        "from remodal.methods import methods\nmethods.add('no-class')(len)",
        "'no-class' stands for <built-in function len>; valid: a subclass of remodal.methods.Method",
    ),
    "unfinished": (
        "from remodal.methods import Method, methods\n@methods.add('unfinished')\nclass Unfinished(Method): pass",
        "TypeError: Unfinished lacks learn, restore, scores, state",
    ),
    "odd-settings": (
        A_METHOD.format(name="odd-settings") + "    options = dict",
        "OneMore.options is <class 'dict'>; valid: a subclass of remodal.settings.Settings",
    ),
}
"""What a package's module says, and what is said of it."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of installed packages: broken ones and a good one."""
    folder = tmp_path_factory.mktemp("site")
    install(folder, "good", A_METHOD.format(name="good"))
    for name, (code, _) in BROKEN.items():
        install(folder, name, code)
    return folder


def install(folder: Path, name: str, code: str) -> None:
    """What ``pip install`` leaves of a package of one module."""
    module = name.replace("-", "_")
    (folder / f"{module}.py").write_text(code)
    described = folder / f"{module}-1.0.dist-info"
    described.mkdir()
    (described / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (described / "entry_points.txt").write_text(f"[remodal.methods]\n{name} = {module}\n")


@pytest.fixture
def shell(site: Path, lite_cache: Path) -> Shell:
    """``shell("-m", "remodal", "versions", folder)``: Python beside these packages."""
    places = os.pathsep.join([str(site), *filter(None, sys.path)])
    environment = {**os.environ, "PYTHONPATH": places, "REMODAL_CACHE": str(lite_cache)}

    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        asked = [sys.executable, *map(str, arguments)]
        return subprocess.run(asked, env=environment, capture_output=True, text=True, check=False)

    return run


def test_each_is_named_in_one_line_and_everything_else_works(shell: Shell, saved: Path, folder: Path) -> None:
    done = shell("-m", "remodal", "predict", saved, folder / "image/warm/0.png")
    assert done.returncode == 0
    assert ": warm" in done.stdout
    lines = [line for line in done.stderr.splitlines() if line.startswith("remodal: ")]
    assert len(lines) == len(BROKEN)
    for name, (_, problem) in BROKEN.items():
        start = f"remodal: the installed package {name} can't be used, so its method {name!r} is missing ("
        (line,) = [line for line in lines if line.startswith(start)]
        assert problem in line
        assert line.endswith(f"mend it: correct it, or pip install --upgrade {name}, or pip uninstall {name}")
        assert line.isprintable()

    listed = shell("-m", "remodal", "methods")
    assert {"good", "ridge", "remodal"} <= {line.split()[0] for line in listed.stdout.splitlines() if line.strip()}
    assert "half" not in listed.stdout


@pytest.mark.long  # the test above finds the same lines quickly
def test_the_doctor_finds_them(shell: Shell) -> None:
    done = shell("-m", "remodal", "doctor")
    assert done.returncode == 1
    for name in BROKEN:
        (line,) = [line for line in done.stdout.splitlines() if line.startswith(f"methods of {name}: ")]
        assert f"mend it: correct it, or pip install --upgrade {name}" in line
    assert "all that is needed is there" not in done.stdout


def test_who_asks_for_its_method_is_told_why_it_is_not_there(shell: Shell, folder: Path, tmp_path: Path) -> None:
    done = shell("-m", "remodal", "run", "--stream", folder, "--method", "divides", "--out", tmp_path / "run")
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    said = done.stderr.splitlines()[-1]
    assert said.startswith("remodal: found no method 'divides': the installed package divides can't be used")
    assert "ZeroDivisionError: division by zero" in said


def test_a_package_that_imports_remodal_first_may_be_imported_first(shell: Shell) -> None:
    done = shell("-c", "import good; from remodal.methods import methods; print(methods.get('good').__name__)")
    assert done.stdout == "OneMore\n"
    assert "package good" not in done.stderr
