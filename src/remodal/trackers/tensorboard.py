"""TensorBoard: event files in the run's own folder, under ``tensorboard/``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

from remodal.errors import installed_with
from remodal.trackers.base import TrackedRun, trackers

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter


@trackers.add("tensorboard")
class TensorBoard:
    """Writes an event file each time a run is begun or goes on. Where the folders lie is all that groups them."""

    name = "tensorboard"
    _writer: SummaryWriter

    def __init__(self, group: str = "") -> None:
        with installed_with("tensorboard"):
            import tensorboard  # noqa: F401  # torch brings a writer, but not the library

    def begin(self, run: TrackedRun) -> int:
        """Tells readers to forget what earlier processes wrote: all steps come again, whatever a kill has cut off."""
        from torch.utils.tensorboard import SummaryWriter

        self._writer = SummaryWriter(run.folder / "tensorboard", purge_step=0)
        lines = [f"    {name}: {json.dumps(value, ensure_ascii=False)}" for name, value in run.settings.items()]
        self._writer.add_text("settings", "\n".join(lines), 0)  # indented: Markdown shows it as it is
        return 0

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        """A scalar each."""
        for name, value in metrics.items():
            self._writer.add_scalar(name, value, step)
        self._writer.flush()

    def end(self, finished: bool) -> None:
        """Closes the file."""
        self._writer.close()
