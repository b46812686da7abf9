"""The project's own methods, through the public Python API: from files, with an empty cache or a filled one.

Whatever is done to the files is timed, reading and decoding too, and so are the test items' frozen features: ``learn``
computes them, since a few of these items stay with a model. The frozen network's graph and the alignment are made
before, once for each installation.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import torch
from peers.course import Course, Learner, Request, main
from peers.exporting import Chosen, tasks_of

import remodal
from remodal.learning.settings import Features


class Remodal(Learner):
    """A model, and the tasks that it learns."""

    def __init__(self, request: Request, chosen: Chosen, cache: str, **settings: Any) -> None:
        self._tasks = tasks_of(chosen).tasks
        self._model = remodal.Model(
            request.who, chosen.backbone, seed=request.seed, features=cast(Features, request.kind), cache=Path(cache),
            **settings,
        )  # fmt: skip

    def learn(self, task: int) -> None:
        """See :meth:`Learner.learn`."""
        self._model.learn(self._tasks[task])

    def accuracies(self, tasks: int) -> list[float]:
        """See :meth:`Learner.accuracies`."""
        found = self._model.evaluate(self._tasks[:tasks]).agnostic
        return [0.0 if one is None else one for one in found]


def begin(course: Course, request: Request, settings: dict[str, Any]) -> Learner:
    """The contestant, not having learned anything. settings: the folder of its cache, and what it takes beside."""
    torch.set_num_threads(request.threads)
    return Remodal(request, Chosen(**course.told["chosen"]), **settings)


if __name__ == "__main__":
    main(begin)
