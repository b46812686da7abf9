"""What a user holds: one model that learns tasks, answers, and is saved and loaded."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Self

import torch

from remodal.backbones import Tokens, load_backbone
from remodal.cache import cache_folder
from remodal.errors import BadItem, RemodalError
from remodal.features.extract import extract
from remodal.features.progress import Progress
from remodal.features.store import FeatureStore
from remodal.learning.evaluate import accuracy
from remodal.learning.metrics import mean
from remodal.learning.prepare import prepare, prepare_task
from remodal.methods import methods
from remodal.modalities import get_modality, reader_of
from remodal.streams.base import Column, Step, Stream, Task
from remodal.training.trainer import Trainer


class Text(str):
    """A sentence to classify, where a plain ``str`` would be the path of a file.

    >>> Text("a domesticated animal that barks")
    Text('a domesticated animal that barks')
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return f"Text({str(self)!r})"


class Prediction(NamedTuple):
    """One answer: the class, its modality, and the probability of the two together."""

    label: str
    modality: str
    probability: float


class Evaluation(NamedTuple):
    """Accuracies on a stream's tasks, None for a task that the model can't score."""

    aware: list[float | None]
    agnostic: list[float | None]

    @property
    def mean_aware(self) -> float | None:
        """Mean over the tasks, the modality given."""
        return mean(self.aware)

    @property
    def mean_agnostic(self) -> float | None:
        """Mean over the tasks, the modality not given."""
        return mean(self.agnostic)


@dataclass(frozen=True)
class _Given:
    """A file or sentence that was handed over, as the stem pass takes it."""

    id: str
    data: bytes
    read_as: str
    unit: str | None = None

    def read(self) -> bytes:
        """The encoded medium."""
        return self.data


class Model:
    """A frozen backbone and a method that learns on it.

    method, backbone: names in ``list_methods()`` and ``list_backbones()``. settings: the method's own, by name.
    cache: folder of frozen features; the user's cache folder by default.
    """

    def __init__(
        self,
        method: str = "remodal",
        backbone: str = "lite",
        *,
        seed: int = 0,
        cache: Path | None = None,
        device: str = "cpu",
        **settings: Any,
    ) -> None:
        chosen = methods.get(method)
        self._options = chosen.options.checked(settings)
        self._cache = cache or cache_folder()
        self.backbone = load_backbone(backbone, self._cache, device)
        self.method = chosen(self.backbone, self._options, seed)
        self.seed = seed
        self.seen_: list[Column] = []
        """Classes learned so far, with their modalities."""
        self._tasks = 0

    def learn(self, task: Task | Step, progress: Progress | None = None) -> Self:
        """Learn one task, or one step of a stream. Raises RemodalError where an item can't be used."""
        with self._store() as store:
            data = prepare_task(task, self._tasks, self.backbone, store, progress)
        self.method.learn(data, Trainer(self.seed, self._tasks, progress=progress))
        self._tasks += 1
        self.seen_ = list(dict.fromkeys([*self.seen_, *data.columns]))
        return self

    def evaluate(self, stream: Stream | Iterable[Task], progress: Progress | None = None) -> Evaluation:
        """Accuracy on the held-out items of each task, among all classes learned so far."""
        whole = stream if isinstance(stream, Stream) else Stream("tasks", "given", self.seed, tuple(stream), ())
        with self._store() as store:
            prepared = prepare(whole, self.backbone, store, progress)
        rows = [accuracy(self.method, task, self.seen_) for task in prepared.tasks]
        return Evaluation([row.aware for row in rows], [row.agnostic for row in rows])

    def predict(
        self, media: Sequence[str | Path | Text | bytes], modality: str | None = None, top: int = 1
    ) -> list[list[Prediction]]:
        """The ``top`` likeliest classes of each medium, best first.

        media: paths of files, encoded bytes, or sentences as :class:`Text`. modality: of all of them, where it is
        known; otherwise a decoder is found from each file's content and the model finds the modality.
        Raises BadItem where a medium can't be read.
        """
        if not self.seen_:
            raise RemodalError("the model has learned nothing yet; call learn(task) first")
        given = [_given(f"{index}:{_name(medium)}", medium, modality) for index, medium in enumerate(media)]
        with self._store() as store:
            extracted = extract(given, self.backbone, store)
        if extracted.rejected:
            raise BadItem(*extracted.rejected[0])
        return [self._answer(one, extracted.tokens[one.id], modality, top) for one in given]

    def _answer(self, given: _Given, tokens: Any, modality: str | None, top: int) -> list[Prediction]:
        batch = Tokens.stack(self.backbone.tower(given.read_as).name, [tokens])
        columns = [column for column in self.seen_ if modality in (None, column.modality)]
        if not columns:
            known = ", ".join(dict.fromkeys(column.modality for column in self.seen_))
            raise RemodalError(f"the model has learned no class of {modality}; it knows: {known}")
        with torch.inference_mode():
            scores = self.method.scores(batch, columns)[0].nan_to_num(nan=-torch.inf)
        probability = scores.softmax(dim=0)
        best = probability.topk(min(top, len(columns))).indices.tolist()
        return [Prediction(columns[at].name, columns[at].modality, float(probability[at])) for at in best]

    def _store(self) -> FeatureStore:
        return FeatureStore(self._cache / "features")


def _name(medium: str | Path | Text | bytes) -> str:
    if isinstance(medium, Text):
        return medium[:40]
    return "bytes" if isinstance(medium, bytes) else str(medium)


def _given(name: str, medium: str | Path | Text | bytes, modality: str | None) -> _Given:
    """The bytes and the decoder that reads them: as stated, or from the content, never from a Python type alone."""
    if isinstance(medium, Text):
        return _Given(name, medium.encode(), "text")
    if isinstance(medium, bytes):
        data = medium
    else:
        try:
            data = Path(medium).read_bytes()
        except OSError as error:
            raise BadItem(str(medium), f"can't be read ({error.strerror}); a sentence is given as Text(...)") from None
    reader = get_modality(modality) if modality is not None else reader_of(data, name)
    return _Given(name, data, reader.name)
