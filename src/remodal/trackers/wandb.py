"""Weights & Biases: offline, in the run's own folder under ``wandb/``, unless the environment says otherwise."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

from remodal.errors import installed_with
from remodal.trackers.base import PROJECT, TrackedRun, trackers

if TYPE_CHECKING:
    from wandb import Run

OFFLINE = ("offline", "dryrun")


@trackers.add("wandb")
class Wandb:
    """Sends what it is told, and nothing that the library would gather by itself."""

    name = "wandb"
    _run: Run

    def __init__(self, group: str = "") -> None:
        os.environ.setdefault("WANDB_ERROR_REPORTING", "false")  # to the makers of the library
        with installed_with("wandb"):
            import wandb  # noqa: F401
        self._group = group

    def begin(self, run: TrackedRun) -> int:
        """On line the server knows how far the run came. Off line each folder holds the whole run, under one id."""
        import wandb

        mode = _mode()
        self._run = wandb.init(
            project=os.environ.get("WANDB_PROJECT", PROJECT),
            group=self._group or None,
            id=run.id,
            name=run.name,
            config=dict(run.settings),
            dir=os.environ.get("WANDB_DIR", str(run.folder)),
            mode=mode,
            # a folder that is synced takes the place of what the server has under the id
            resume=None if mode in OFFLINE else "allow",
            reinit="create_new",  # a run that the user has open stays open
            settings=wandb.Settings(
                console="off",
                silent=True,
                disable_code=True,
                disable_git=True,
                host="",
                x_disable_machine_info=True,
                x_disable_meta=True,
                x_disable_stats=True,
                x_save_requirements=False,
            ),
        )
        return int(self._run.starting_step)

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        """All metrics of a step at once."""
        self._run.log(dict(metrics), step=step)

    def end(self, finished: bool) -> None:
        """Waits until all is sent, or written."""
        self._run.finish(exit_code=0 if finished else 1)


def _mode() -> str:
    """As the environment says; a key in it says on line, but one that was once stored on the machine doesn't."""
    return os.environ.get("WANDB_MODE") or ("online" if os.environ.get("WANDB_API_KEY") else "offline")
