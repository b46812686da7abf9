"""Scoring a method: aware (the modality of an item is given) and agnostic (it is not), the same way for every method.

One array of scores serves both: the aware score is the same array with the candidates of other modalities masked.
Agnostic is right if the *name* is right, among all classes seen in all modalities.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from remodal.learning.prepare import PreparedTask
from remodal.methods.base import Method
from remodal.streams.base import Column


class Accuracy(NamedTuple):
    """Accuracy on one task, None where the method can't say."""

    aware: float | None
    agnostic: float | None


def score(method: Method, task: PreparedTask, columns: Sequence[Column]) -> Tensor:
    """Scores of a task's held-out items, ``[n, len(columns)]``."""
    with torch.inference_mode():
        return torch.cat([method.scores(batch, columns) for batch in task.test.batches]).cpu()


def accuracy(method: Method, task: PreparedTask, seen: Sequence[Column]) -> Accuracy:
    """Both accuracies on a task after the classes ``seen`` were learned.

    Agnostic candidates are all classes seen, and the task's own where it has not been learned yet. Aware candidates are
    those of the task's modality among them; for a task not learned yet its own classes alone, so that what a method
    can do before learning is comparable through the stream (as in MTIL).
    """
    columns = list(dict.fromkeys([*seen, *task.columns]))
    scores = score(method, task, columns)
    places = {column: at for at, column in enumerate(columns)}
    own = [places[column] for column in task.columns]
    if scores[:, own].isnan().any():
        return Accuracy(None, None)
    of_task = set(task.columns)
    learned = of_task <= set(seen)
    given = [column.modality == task.train.modality if learned else column in of_task for column in columns]
    names = [column.name for column in columns]
    truth = [task.train.classes[label] for label in task.test.labels.tolist()]
    aware = best(scores.masked_fill(~torch.tensor(given), -torch.inf))
    return Accuracy(_share(aware, names, truth), _share(best(scores), names, truth))


def best(scores: Tensor) -> list[int]:
    """Position of each row's highest score; what can't be scored never wins."""
    answers: list[int] = scores.nan_to_num(nan=-torch.inf).argmax(1).tolist()
    return answers


def _share(answers: Sequence[int], names: Sequence[str], truth: Sequence[str]) -> float:
    return sum(names[answer] == right for answer, right in zip(answers, truth, strict=True)) / len(truth)
