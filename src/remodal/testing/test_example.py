"""The example of a method of one's own conforms, and is found where it is installed."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

from remodal.methods import methods
from remodal.testing import check_method

EXAMPLE = Path(__file__).parents[3] / "examples/custom_method"


def test_the_example_conforms(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(methods, "_entries", {})  # it registers itself, here and not for other tests
    spec = spec_from_file_location("example_method", EXAMPLE / "shrunken_mean/method.py")
    assert spec is not None
    assert spec.loader is not None
    spec.loader.exec_module(module_from_spec(spec))
    check_method(methods.get("shrunken-mean"))


def test_an_installed_method_is_found_by_its_entry_point(tmp_path: Path) -> None:
    project = tomllib.loads((EXAMPLE / "pyproject.toml").read_text())["project"]
    installed = tmp_path / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    )
    ((group, entries),) = project["entry-points"].items()
    (installed / "entry_points.txt").write_text(
        "\n".join([f"[{group}]", *(f"{name} = {module}" for name, module in entries.items())])
    )
    found = subprocess.run(
        [sys.executable, "-c", "from remodal.methods import methods; print(methods.names())"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(EXAMPLE), *sys.path])},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "'shrunken-mean'" in found.stdout
