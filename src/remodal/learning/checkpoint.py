"""Checkpoints of a run: whole or absent, plain tensors and JSON, never a pickle.

``checkpoint/state.safetensors`` holds the method after the last finished step, with what was measured so far;
``checkpoint/journal.safetensors`` the training stages of the step that is running; ``checkpoint/scores.safetensors``
final scores, as many as there were before a stop. A run that is to stop does so right after one of the first two was
written: all that it has done is then kept.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from remodal.errors import RemodalError, Stopped
from remodal.files import replacing
from remodal.methods.base import State
from remodal.training.trainer import StageState


def write_state(path: Path, state: State) -> None:
    """One file with a state's tensors and, as JSON in its header, its values.

    Raises:
        RemodalError: It can't be written; what was there before stays.
    """
    tensors = {name: tensor.detach().clone().contiguous() for name, tensor in state.tensors.items()}
    with replacing(path) as part:
        part.touch()
        mode = part.stat().st_mode
        try:
            save_file(tensors, part, metadata={"values": json.dumps(state.values)})
        except SafetensorError as error:
            raise RemodalError(f"{path}: can't be written ({error})") from None
        part.chmod(mode)  # as the files beside it, where safetensors would make it its owner's alone


def read_state(path: Path) -> State:
    """What :func:`write_state` wrote; RemodalError where the file isn't that."""
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118  # not a dict
            return State(tensors, json.loads((file.metadata() or {})["values"]))
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise RemodalError(f"{path}: not a state of remodal's, or a damaged one ({error})") from None


Stop = Callable[[], bool]
"""Whether a run is to stop where it has a checkpoint."""


def never() -> bool:
    """A run goes on to its end."""
    return False


CHECKPOINT = "checkpoint"


def forget_checkpoints(folder: Path) -> None:
    """Of a run that is finished: its results say it all."""
    shutil.rmtree(folder / CHECKPOINT, ignore_errors=True)


class Checkpoints:
    """The checkpoints of one run folder. content: a hash over the data that the run learns from."""

    def __init__(self, folder: Path, content: str, stop: Stop = never) -> None:
        self._folder, self._content, self.stop = folder / CHECKPOINT, content, stop
        self._state, self._scores = self._folder / "state.safetensors", self._folder / "scores.safetensors"

    def save(self, state: State, measured: dict[str, Any]) -> None:
        """Between two stages of learning: the method's state, and what the run has measured so far (JSON).

        Raises:
            Stopped: It is saved, and the run is to stop.
        """
        values = {"content": self._content, "method": state.values, "measured": measured}
        write_state(self._state, State(state.tensors, values))
        _stop_if(self.stop)

    def load(self) -> tuple[State, dict[str, Any]] | None:
        """The last saved, or None where nothing was. Raises RemodalError where it was learned from other data."""
        if not self._state.exists():
            return None
        state = _learned_from(self._content, self._state)
        return State(state.tensors, state.values["method"]), state.values["measured"]

    def save_scores(self, scores: Sequence[Tensor]) -> None:
        """The final scores of the first tasks."""
        write_state(self._scores, State({str(at): own for at, own in enumerate(scores)}, {"content": self._content}))

    def load_scores(self) -> list[Tensor]:
        """Those that were saved. Raises RemodalError as :meth:`load` does."""
        if not self._scores.exists():
            return []
        found = _learned_from(self._content, self._scores).tensors
        return [found[str(at)] for at in range(len(found))]

    def journal(self, task: int) -> FileJournal:
        """The journal of a task; an earlier task's is forgotten. Raises RemodalError as :meth:`load` does."""
        return FileJournal(self._folder / "journal.safetensors", task, self._content, self.stop)


def _stop_if(stop: Stop) -> None:
    if stop():
        raise Stopped


def _learned_from(content: str, path: Path) -> State:
    state = read_state(path)
    if state.values.get("content") != content:
        changed = "the data (or the frozen model) changed since this run was stopped"
        valid = "valid: the data as they were, or a new run: another --out"
        raise RemodalError(f"{path.parent.parent}: {changed}, so that it can't go on; {valid}")
    return state


class FileJournal:
    """Stage states of one running task, in one file that is replaced as a whole; content: see :class:`Checkpoints`.

    seconds: that earlier processes have learned of the task.
    """

    def __init__(self, path: Path, task: int, content: str = "", stop: Stop = never) -> None:
        self._path, self._task, self._content, self._stop = path, task, content, stop
        self._begun, self.seconds = time.perf_counter(), 0.0
        self._stages: dict[str, StageState] = {}
        if path.exists():
            state = _learned_from(content, path)
            if state.values["task"] == task:
                self._stages = {stage: _stage(state, stage) for stage in state.values["stages"]}
                self.seconds = state.values.get("seconds", 0.0)  # a journal of before it was counted has none

    def load(self, stage: str) -> StageState | None:
        """The last state of ``stage``, or None."""
        return self._stages.get(stage)

    def save(self, stage: str, state: StageState) -> None:
        """Keep ``state`` in place of the stage's last one. Raises Stopped as :meth:`Checkpoints.save` does."""
        self._stages[stage] = state
        seconds = self.seconds + time.perf_counter() - self._begun
        whole = State(values={"content": self._content, "task": self._task, "seconds": seconds, "stages": {}})
        for name, one in self._stages.items():
            whole.values["stages"][name] = {"step": one.step, "records": one.records}
            whole.put(f"{name}/parameters", one.parameters)
            whole.put(f"{name}/moments", one.moments)
            whole.put(name, {"generator": one.generator})
        write_state(self._path, whole)
        _stop_if(self._stop)


def _stage(state: State, stage: str) -> StageState:
    values: dict[str, Any] = state.values["stages"][stage]
    generator: Tensor = state.tensors[f"{stage}/generator"]
    return StageState(
        values["step"],
        state.under(f"{stage}/parameters"),
        state.under(f"{stage}/moments"),
        generator,
        values["records"],
    )
