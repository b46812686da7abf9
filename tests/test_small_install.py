"""What ``pip install remodal`` brings is enough to load, ask and teach, and nothing heavy is imported unless needed."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

import remodal

PROJECT = Path(__file__).parent.parent / "pyproject.toml"
WITHOUT = """
import runpy, sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {absent!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Absent())
"""
"""Comes before a program: these modules can't be imported in it."""

Alone = Callable[..., subprocess.CompletedProcess[str]]


def named(requirements: list[str]) -> set[str]:
    """The modules of some requirements."""
    return {re.split(r"[\[<>=; ]", one)[0].replace("-", "_").lower() for one in requirements}


def absent() -> set[str]:
    """The modules that extras alone bring."""
    project = tomllib.loads(PROJECT.read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    brought = {name for extra, some in extras.items() if extra != "dev" for name in named(some)}
    return brought - named(project["dependencies"]) - {"remodal"}


@pytest.fixture
def alone(lite_cache: Path, tmp_path: Path) -> Alone:
    """``alone("-m", "remodal", ...)``, or a program: in a process in which no extra is installed."""

    def run(program: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "REMODAL_CACHE": str(lite_cache), "PYTHONPATH": os.pathsep.join(sys.path)}
        asked = [sys.executable, "-c", WITHOUT.format(absent=absent()) + program]
        return subprocess.run(asked, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)

    return run


def command(*arguments: object) -> str:
    """The program that the command ``remodal`` is."""
    return f"sys.argv = {['remodal', *map(str, arguments)]!r}; runpy.run_module('remodal', run_name='__main__')"


def test_what_extras_bring_is_known() -> None:
    assert {"pyarrow", "scipy", "matplotlib", "transformers", "watchfiles", "lancedb", "gradio"} <= absent()


def test_a_model_is_loaded_asked_and_taught_without_any_extra(
    alone: Alone, saved: Path, folder: Path, lite_cache: Path
) -> None:
    asked = alone(command("predict", saved, folder / "image/warm/0.png", folder / "audio/cold/1.wav", "--json"))
    assert asked.returncode == 0, asked.stderr
    found = [json.loads(line)["best"][0] for line in asked.stdout.splitlines()]
    assert [(one["label"], one["modality"]) for one in found] == [("warm", "image"), ("cold", "audio")]
    taught = alone(command("update", saved, "--data", folder))
    assert taught.returncode == 0, taught.stderr
    assert remodal.load(saved, cache=lite_cache).saved_as == (saved.resolve(), 2)


def test_the_networks_of_lite_are_made_without_any_extra(alone: Alone, tmp_path: Path) -> None:
    """Also in the first process of all, which exports them."""
    made = alone(f"""
from pathlib import Path
import remodal
model = remodal.Model("zero-shot", cache=Path({str(tmp_path / "cold")!r}))
print(model.embed_words("a barking dog").shape)
""")
    assert made.stdout == "(384,)\n", made.stderr


@pytest.mark.parametrize(
    ("arguments", "module", "extra"),
    [
        (("run", "--stream", "everyday"), "pyarrow", "experiments"),
        (("compare", "--stream", "everyday"), "matplotlib", "experiments"),
        (("predict", "model", "a.mp3", "--windows", "--picture", "a.png"), "matplotlib", "experiments"),
        (("watch", "FOLDER", "--model", "MODEL"), "watchfiles", "watch"),
        (("index", "MODEL", "FOLDER", "--into", "my.index"), "pyarrow", "search"),
    ],
)
def test_a_command_that_needs_an_extra_says_which(
    alone: Alone, saved: Path, folder: Path, arguments: tuple[str, ...], module: str, extra: str
) -> None:
    stands = {"MODEL": saved, "FOLDER": folder}
    ended = alone(command(*(stands.get(one, one) for one in arguments)))
    assert ended.returncode == 2
    said = ended.stderr.splitlines()[-1]
    assert re.fullmatch(
        rf"remodal: found no module '{module}[\w.]*'; install it: pip install 'remodal\[{extra}\]'", said
    ), ended.stderr


def test_a_backbone_that_needs_an_extra_says_which(alone: Alone) -> None:
    ended = alone("import remodal; remodal.Model('ridge', 'vit')")
    said = ended.stderr.splitlines()[-1]
    assert said.endswith("found no module 'transformers'; install it: pip install 'remodal[transformer]'")


def test_the_doctor_says_that_vit_cannot_run(alone: Alone) -> None:
    asked = alone("from remodal.cli.doctor import vit; print(vit().found)")
    assert asked.stdout == (
        "can't run: found no module 'transformers'; install it: pip install 'remodal[transformer]'\n"
    )


@pytest.mark.parametrize(
    "program",
    [
        "import remodal; dir(remodal); [getattr(remodal, name) for name in ('load', 'list_methods', '__version__')]",
        "sys.argv = ['remodal', '--help']; runpy.run_module('remodal', run_name='__main__')",
        "sys.argv = ['remodal', 'predict', '--help']; runpy.run_module('remodal', run_name='__main__')",
        "sys.argv = ['remodal', '--version']; runpy.run_module('remodal', run_name='__main__')",
    ],
)
def test_nothing_heavy_is_imported_before_it_is_needed(program: str) -> None:
    whole = f"""
import atexit, runpy, sys
atexit.register(lambda: print(sorted({{'torch', 'onnxruntime', 'lmdb'}} & {{*sys.modules}})))
{program}
"""
    ended = subprocess.run([sys.executable, "-c", whole], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.splitlines()[-1] == "[]"


def test_all_public_names_are_listed_and_there() -> None:
    assert {*remodal.__all__} <= {*dir(remodal)}
    assert all(getattr(remodal, name) is not None for name in remodal.__all__)
