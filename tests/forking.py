"""A process that runs a command and can be killed: forked from this one, so that it starts at once."""

from __future__ import annotations

import os
import sys
from multiprocessing import get_context
from multiprocessing.context import ForkProcess
from pathlib import Path

from remodal.cli import app


def forked(cache: Path, *arguments: object, **environment: str) -> ForkProcess:
    """A process that runs ``remodal ARGUMENTS``; what has been imported here, it need not import."""
    return _begun(_run, {"REMODAL_CACHE": str(cache), **environment}, list(map(str, arguments)))


def executed(cache: Path, *arguments: object) -> ForkProcess:
    """The same, as a user starts it: with a Python of its own."""
    asked = [sys.executable, "-m", "remodal", *map(str, arguments)]
    return _begun(os.execve, sys.executable, asked, {**os.environ, "REMODAL_CACHE": str(cache)})


def _begun(target: object, *arguments: object) -> ForkProcess:
    process = get_context("fork").Process(target=target, args=arguments)  # type: ignore[arg-type]
    process.start()
    return process


def _run(environment: dict[str, str], arguments: list[str]) -> None:
    os.environ.update(environment)
    app(arguments, prog_name="remodal")
