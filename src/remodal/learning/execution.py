"""Where the work of a run is done: in its own process, unless someone else takes a part of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from remodal.features.extract import StemPass, extract
from remodal.methods import Method
from remodal.methods.base import TaskData
from remodal.training.memory import give_back
from remodal.training.parallel import ALONE, Team
from remodal.training.trainer import Trainer

Learn = Callable[[Method, TaskData, Trainer], None]
"""(method, task, trainer): the method has learned the task then."""


def learn(method: Method, task: TaskData, trainer: Trainer) -> None:
    """Let the method learn the task in this process."""
    method.learn(task, trainer)
    give_back()


@dataclass(frozen=True)
class Execution:
    """Who does the parts of a run that take long: the stem pass, learning a task, and the training in it.

    team: the processes that train together.
    """

    stem_pass: StemPass = extract
    learn: Learn = learn
    team: Team = ALONE


HERE = Execution()
"""In this process."""
