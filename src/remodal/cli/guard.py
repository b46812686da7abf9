"""A user's mistake is one line and an exit status, never a traceback."""

from __future__ import annotations

import os
import warnings
from typing import Any

import typer
from typer.core import TyperGroup

from remodal.characters import printable, write_what_can_be_shown
from remodal.errors import RemodalError

MISTAKE = 2
INTERRUPTED = 130


class Guarded(TyperGroup):
    """A group of commands that turns the errors a person can act on into one line on stderr."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Read the arguments, and run the command."""
        write_what_can_be_shown()
        return super().main(*args, **kwargs)

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was asked for."""
        from remodal.cli.console import say

        # libraries that talk while the progress is drawn
        os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
        warnings.filterwarnings("ignore", module="PIL")
        warnings.showwarning = lambda message, *_, **__: say(str(message))
        try:
            return super().invoke(ctx)
        except RemodalError as error:
            say(str(error))
            raise typer.Exit(MISTAKE) from None
        except OSError as error:
            if error.filename is None:
                raise
            say(f"{os.fsdecode(error.filename)}: {error.strerror}")
            raise typer.Exit(MISTAKE) from None
        except KeyboardInterrupt:
            say("interrupted; the same command goes on from here, a run with --resume")
            raise typer.Exit(INTERRUPTED) from None
        except Exception as error:
            # typer tells of a wrong option by itself, in the words that were given
            if isinstance(told := getattr(error, "message", None), str):
                error.__dict__["message"] = printable(told)
            raise
