"""A package of one's own with a method in it: written whole, to be changed.

The files beside this one are its templates. What they make passes all checks as it stands.
"""

from __future__ import annotations

import re
import sys
from importlib.util import find_spec
from keyword import iskeyword, issoftkeyword
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from remodal.errors import RemodalError
from remodal.files import write_text
from remodal.methods import methods

HERE = Path(__file__).parent
NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
LONGEST_NAME = 40
COMMANDS = ("list", "new")
"""What stands where a method's name does in ``remodal methods NAME``."""


def write_package(name: str, into: Path) -> list[Path]:
    """Write a package with a method called ``name``, its test and its description into a new folder; its files.

    Raises:
        RemodalError: The name can't be a method's, or there is something in the folder.
    """
    if problem := _problem(name):
        valid = "letters a-z, digits and single dashes, a letter first, a name that is not taken"
        raise RemodalError(f"name: found {name[:LONGEST_NAME]!r}, {problem}; {_suggestion(name)}valid: {valid}")
    if into.exists() and not (into.is_dir() and not any(into.iterdir())):
        found = "a folder that is not empty" if into.is_dir() else "a file"
        raise RemodalError(f"{into}: found {found}; valid: a new folder, or an empty one")
    module = _module(name)
    files = {
        "pyproject.toml": "pyproject.toml.jinja",
        "README.md": "README.md.jinja",
        f"{module}.py": "method.py.jinja",
        f"test_{module}.py": "test_method.py.jinja",
    }
    environment = Environment(
        loader=FileSystemLoader(HERE),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701  # a name that was checked, in Python and Markdown
    )
    words = {"name": name, "module": module, "class": _class(name)}
    for file, template in files.items():
        write_text(into / file, environment.get_template(template).render(words))
    return [into / file for file in files]


def _problem(name: str) -> str:
    """Why a method can't be called so; empty where it can."""
    module = _module(name)
    if not NAME.fullmatch(name):
        return "which isn't of the valid form"
    if len(name) > LONGEST_NAME:
        return f"which is longer than {LONGEST_NAME} characters"
    if name in methods:
        return "which is a method already"
    if name in COMMANDS:
        return f"which is a command: remodal methods {name}"
    if iskeyword(module) or issoftkeyword(module):
        return "which is a keyword of Python"
    if _is_module(module):
        return f"and Python has a module {module}"
    template = (HERE / "method.py.jinja").read_text(encoding="utf-8")
    imports = " ".join(line for line in template.splitlines() if line.startswith("from "))
    if _class(name) in re.findall(r"\w+", imports):
        return f"whose class {_class(name)} would hide one that a method needs"
    return ""


def _suggestion(name: str) -> str:
    near = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[: LONGEST_NAME // 2].strip("-")
    tried = (near, f"my-{near}", f"my-{near}-method")
    found = next((one for one in tried if not _problem(one)), None)
    return f"did you mean {found!r}? " if found else ""


def _module(name: str) -> str:
    return name.replace("-", "_")


def _class(name: str) -> str:
    """``"my-idea"`` -> ``"MyIdea"``."""
    return "".join(part.capitalize() for part in name.split("-"))


def _is_module(name: str) -> bool:
    """Whether ``import name`` finds something; folders without an ``__init__.py`` don't count."""
    spec = None if name in sys.stdlib_module_names else find_spec(name)
    return name in sys.stdlib_module_names or (spec is not None and spec.origin is not None)
