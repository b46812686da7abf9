"""A process that runs a command and can be killed: forked from this one, so that it starts at once."""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Callable
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


class Life:
    """Of a process that is to be killed. left: files that it may still write, rename or remove."""

    def __init__(self, left: int) -> None:
        self.left = left

    def shorten(self) -> None:
        """One file less; the process ends here where it has none left."""
        if not self.left:
            os.kill(os.getpid(), signal.SIGKILL)
        self.left -= 1


def killed_at_a_file(number: int, work: Callable[[Life], object]) -> int:
    """How a process ends that is killed at its ``number``-th file: 0 where it needs fewer."""
    child = os.fork()
    if child:
        return os.waitpid(child, 0)[1]
    life, replace, unlink, fsync = Life(number), Path.replace, Path.unlink, os.fsync
    os.fsync = lambda file: (fsync(file), life.shorten())[0]  # type: ignore[assignment]
    Path.replace = lambda path, target: (life.shorten(), replace(path, target))[1]  # type: ignore[method-assign,assignment]
    Path.unlink = lambda path, missing_ok=False: (life.shorten(), unlink(path, missing_ok))[1]  # type: ignore[method-assign]
    try:
        work(life)
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)
