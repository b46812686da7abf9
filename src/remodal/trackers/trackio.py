"""Trackio: its own local database, under ``TRACKIO_DIR``; or the Space or server that the environment names."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping
from contextlib import ExitStack, redirect_stdout
from typing import TYPE_CHECKING
from unittest.mock import patch

from remodal.errors import installed_with
from remodal.trackers.base import PROJECT, TrackedRun, trackers

if TYPE_CHECKING:
    from trackio import Run

ELSEWHERE = ("TRACKIO_SPACE_ID", "TRACKIO_SERVER_URL")
"""Variables that send runs to another machine."""


@trackers.add("trackio")
class Trackio:
    """Finds a run that goes on by its name, which has a part of the id in it. What the library prints isn't shown."""

    name = "trackio"
    _run: Run

    def __init__(self, group: str = "") -> None:
        with installed_with("trackio"):
            import trackio  # noqa: F401
        self._group = group

    def begin(self, run: TrackedRun) -> int:
        """The store knows how far the run came: what was still waiting to be written at a kill comes again."""
        import trackio

        with ExitStack() as within:
            within.enter_context(redirect_stdout(io.StringIO()))
            if not any(os.environ.get(name) for name in ELSEWHERE):
                # it would ask huggingface.co who a token on this machine belongs to, to write it down
                within.enter_context(patch.object(trackio.Run, "_get_username", return_value=None))
            self._run = trackio.init(
                project=os.environ.get("TRACKIO_PROJECT", PROJECT),
                name=f"{run.name}-{run.id[:8]}",
                group=self._group or None,
                config=dict(run.settings),
                resume="allow",
                embed=False,
                auto_log_gpu=False,
                auto_log_cpu=False,
            )
        return int(self._run._next_step)  # there is no public word for it that holds on a server too

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        """All metrics of a step at once; they are written in the background."""
        self._run.log(dict(metrics), step=step)

    def end(self, finished: bool) -> None:
        """Waits until all is written."""
        import trackio

        with redirect_stdout(io.StringIO()):
            trackio.finish()
