"""Nothing here unpickles, evaluates, or hands text to a shell: read from the source of every file."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ("src", "benchmarks", "examples", "tests")
FILES = sorted(
    file
    for folder in FOLDERS
    for file in (ROOT / folder).rglob("*.py")
    if ".venv" not in file.relative_to(ROOT).parts  # the peers' own
)
MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal", "pty", "commands"}
CALLS = {
    "eval", "exec", "compile", "__import__", "os.system", "os.popen", "os.execv", "os.execvp", "os.spawnl",
    "subprocess.getoutput", "subprocess.getstatusoutput", "yaml.load", "yaml.unsafe_load", "torch.hub.load",
    "asyncio.create_subprocess_shell",
}  # fmt: skip


def found(source: str) -> Iterator[str]:
    """What a file does that nothing here does."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else [one.name for one in node.names]
            yield from (f"imports {name}" for name in names if name.partition(".")[0] in MODULES)
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            given = {one.arg: ast.unparse(one.value) for one in node.keywords}
            if name in CALLS or given.get("shell") == "True" or given.get("allow_pickle") == "True":
                yield f"calls {ast.unparse(node)[:80]}"
            if name == "torch.load" and given.get("weights_only") != "True":
                yield "calls torch.load without weights_only"


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_no_file_does_what_could_run_what_it_reads(file: Path) -> None:
    assert list(found(file.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from pickle import loads",
        "eval('1')",
        "import os; os.system('ls')",
        "import subprocess; subprocess.run('ls', shell=True)",
        "import numpy; numpy.load('x', allow_pickle=True)",
        "import torch; torch.load('x')",
    ],
)
def test_it_would_be_found(source: str) -> None:
    assert len(list(found(source))) == 1
