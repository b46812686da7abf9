"""Every held-out item's final scores, so that any metric can be recomputed."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor

from remodal.files import replacing
from remodal.learning.evaluate import best, score
from remodal.learning.prepare import PreparedStream
from remodal.methods.base import Method
from remodal.modalities import MODALITIES
from remodal.streams.base import Column


@dataclass(frozen=True)
class Predictions:
    """Final answers to all held-out items. scores: ``[n, len(columns)]``; the other lists have one entry an item."""

    columns: tuple[Column, ...]
    items: tuple[str, ...]
    tasks: tuple[int, ...]
    truth: tuple[Column, ...]
    scores: Tensor

    @cached_property
    def agnostic(self) -> list[Column]:
        """The best candidate of all, an item."""
        return [self.columns[answer] for answer in best(self.scores)]

    @cached_property
    def aware(self) -> list[Column]:
        """The best candidate of the item's own modality."""
        places = {name: at for at, name in enumerate(MODALITIES)}
        of_columns, of_items = (
            torch.tensor([places[column.modality] for column in listed], dtype=torch.int64)
            for listed in (self.columns, self.truth)
        )
        other = of_items[:, None] != of_columns
        return [self.columns[answer] for answer in best(self.scores.masked_fill(other, -torch.inf))]

    def router_accuracy(self) -> float | None:
        """Share of items whose best candidate is of their own modality."""
        right = [answer.modality == truth.modality for answer, truth in zip(self.agnostic, self.truth, strict=True)]
        return sum(right) / len(right) if right else None

    def router_confusion(self) -> dict[str, list[str] | list[list[int]]]:
        """``counts[true][answered]`` over the five modalities, in the order of ``modalities``."""
        names = list(MODALITIES)
        counts = [[0] * len(names) for _ in names]
        for answer, truth in zip(self.agnostic, self.truth, strict=True):
            counts[names.index(truth.modality)][names.index(answer.modality)] += 1
        return {"modalities": names, "counts": counts}

    def write(self, path: Path) -> None:
        """``predictions.parquet``: one row an item; the candidates are in the schema's metadata, in order of scores."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        width = len(self.columns)
        scores = pa.FixedSizeListArray.from_arrays(pa.array(self.scores.flatten().numpy()), width)
        table = pa.table(
            {
                "item": list(self.items),
                "task": pa.array(self.tasks, pa.int32()),
                "modality": [truth.modality for truth in self.truth],
                "label": [truth.name for truth in self.truth],
                "aware": [answer.name for answer in self.aware],
                "agnostic": [answer.name for answer in self.agnostic],
                "agnostic_modality": [answer.modality for answer in self.agnostic],
                "scores": scores,
            }
        )
        metadata = {"candidates": json.dumps([list(column) for column in self.columns])}
        with replacing(path) as part:
            pq.write_table(table.replace_schema_metadata(metadata), part, compression="zstd")


def predict(
    method: Method,
    stream: PreparedStream,
    known: Sequence[Tensor] = (),
    scored: Callable[[Sequence[Tensor]], None] = lambda _: None,
) -> Predictions:
    """The final answers of a method that has learned all of ``stream``.

    scored: called after each task with the scores of the tasks so far. known: such scores, which are then not computed.
    """
    columns = tuple(dict.fromkeys(column for task in stream.tasks for column in task.columns))
    scores = list(known)
    for task in stream.tasks[len(scores) :]:
        scores.append(score(method, task, columns))
        scored(scores)
    return Predictions(
        columns,
        tuple(item for task in stream.tasks for item in task.test.items),
        tuple(index for index, task in enumerate(stream.tasks) for _ in task.test.items),
        tuple(of[label] for task in stream.tasks for of in [task.columns] for label in task.test.labels.tolist()),
        torch.cat(scores),
    )
