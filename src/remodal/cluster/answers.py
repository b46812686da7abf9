"""What a saved model says of many files, on a cluster: each worker has the model, and answers a part of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from remodal.answering import Answer
from remodal.below import Found
from remodal.cluster.session import Cluster
from remodal.cluster.spread import spread
from remodal.cluster.stem import worker_needs
from remodal.features.progress import Progress, Silent
from remodal.features.source import Window
from remodal.media import Medium, Text, named
from remodal.model import HANDFUL, Model


@dataclass(frozen=True)
class ClusterAnswers:
    """Answers as :meth:`Model.answers` does. model: what is asked. load: makes it anew in a worker."""

    cluster: Cluster
    model: Model
    load: Callable[[], Model]

    def __call__(
        self,
        media: Sequence[Medium],
        modality: str | None = None,
        top: int = 1,
        progress: Progress | None = None,
        *,
        depth_unit: str | None = None,
    ) -> Iterator[Answer]:
        """One after the other, in their order; files have to be where every machine finds them."""
        self.model.candidates(modality)
        self.model.unit(depth_unit)
        cpus, gpus = worker_needs(self.model.backbone.engine, self.cluster)
        parts = [media[start : start + HANDFUL] for start in range(0, len(media), HANDFUL)]
        make = _Made(self.load, modality, top, depth_unit, cpus)
        sent = [[_wherever(medium) for medium in part] for part in parts]
        ready: dict[int, list[Answer]] = {}
        asked = 0
        with (progress or Silent()).work("predict", len(media)) as count:
            for at, answers in spread(self.cluster, make, sent, cpus=cpus, gpus=gpus):
                ready[at] = answers
                count(len(answers))
                while asked in ready:
                    for medium, answer in zip(parts[asked], ready.pop(asked), strict=True):
                        yield answer._replace(medium=named(medium))
                    asked += 1


def _wherever(medium: Medium) -> Medium:
    """The same medium for a process that works in another folder."""
    if isinstance(medium, Found):
        return Found(medium.folder.absolute(), medium.path.absolute())
    if isinstance(medium, Window):
        return replace(medium, file=Found(medium.file.folder.absolute(), medium.file.path.absolute()))
    return medium if isinstance(medium, Text | bytes) else Path(medium).absolute()


@dataclass(frozen=True)
class _Made:
    """Makes a worker."""

    load: Callable[[], Model]
    modality: str | None
    top: int
    depth_unit: str | None
    threads: int

    def __call__(self) -> Callable[[Sequence[Medium]], list[Answer]]:
        torch.set_num_threads(self.threads)
        model = self.load()
        return lambda media: list(model.answers(media, self.modality, self.top, depth_unit=self.depth_unit))
