"""All that the server can do, without HTTP: the routes and the page are two ways to call it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from remodal.answering import Answer, refused
from remodal.errors import BadItem, RemodalError
from remodal.media import Decoded
from remodal.modalities import get_modality
from remodal.model import Model
from remodal.report.media import Shown
from remodal.saved import changing, current_version, located, roll_back, versions
from remodal.search import Hit, Index
from remodal.serve.batching import Batcher
from remodal.serve.decoding import Decoders
from remodal.serve.jobs import Job, Jobs
from remodal.serve.metrics import Metrics
from remodal.serve.own_folders import UPLOADS
from remodal.serve.settings import ServeSettings
from remodal.serve.staging import Lesson, Staging


class Question(NamedTuple):
    """A decoded medium, and what is asked of it. modality: where it is told. top: classes to name."""

    medium: Decoded
    modality: str | None
    top: int


class Said(NamedTuple):
    """An answer and the version of the model that gave it."""

    answer: Answer
    version: int


class Upload(NamedTuple):
    """A file from a client. name: for messages alone."""

    name: str
    data: bytes


class Drawn(NamedTuple):
    """What is shown of a medium, and the modality whose reader decoded it; empty where none did."""

    read_as: str
    shown: Shown


class Service:
    """model, device: see :meth:`Model.load`. index: an index to search in. Used as an asynchronous context."""

    def __init__(
        self, model: str, cache: Path, index: str | None, settings: ServeSettings, device: str = "cpu"
    ) -> None:
        self.folder = located(model)
        self.settings, self.metrics = settings, Metrics()
        self.index = Index.open(index) if index else None
        self._load = partial(Model.load, self.folder, cache=cache, device=device)
        self.model = self._load()
        """The version that answers now; replaced as a whole."""
        if self.index is not None:
            self.index.check(self.model.backbone.fingerprint)
        self._decoders = Decoders(self.model.backbone_name, str(cache), settings.decoders, settings.decode_seconds)
        self._batcher = Batcher(self._compute, settings.batch, settings.waiting, self.metrics.batch.observe)
        self._staging = Staging(cache / UPLOADS)
        self.jobs = Jobs(self.folder, cache, device, index, self._staging, settings.jobs, self.answer_with_current)
        self._running = AsyncExitStack()
        self.ready = False

    async def __aenter__(self) -> Self:
        self._running.enter_context(self._staging)
        for part in (self._decoders, self._batcher, self.jobs):
            await self._running.enter_async_context(part)
        self.metrics.version.set(self.version)
        self.ready = True
        return self

    async def __aexit__(self, *_: object) -> None:
        self.ready = False
        await self._running.aclose()

    @property
    def version(self) -> int:
        """Of the model that answers now."""
        assert self.model.saved_as is not None
        return self.model.saved_as[1]

    async def answer(self, upload: Upload, modality: str | None = None, top: int = 5) -> Said:
        """What the model says of one file; a problem with it is in the answer.

        Raises:
            RemodalError: The modality isn't known to remodal or to the model, or the server is too busy.
        """
        if modality is not None:
            self.model.candidates(get_modality(modality).name)
        try:
            decoded = await self._decoders.decode(upload.data, upload.name, modality)
        except BadItem as bad:
            self.metrics.refused.inc()
            return Said(refused(upload.name, bad.reason), self.version)
        said = await self._batcher.ask(Question(decoded, modality, top))
        self.metrics.answered.labels(said.answer.modality).inc()
        return said

    def _indexed(self) -> Index:
        if self.index is None:
            raise RemodalError("this server has no index to search in; start it with --index")
        return self.index

    def _compute(self, questions: Sequence[Question]) -> list[Said]:
        """A batch, by one model from its first medium to its last."""
        model, version = self.model, self.version
        found: dict[int, Said] = {}
        for kind in dict.fromkeys((one.modality, one.top) for one in questions):
            own = [at for at, one in enumerate(questions) if (one.modality, one.top) == kind]
            answers = model.answer_decoded([questions[at].medium for at in own], *kind)
            found.update({at: Said(answer, version) for at, answer in zip(own, answers, strict=True)})
        return [found[at] for at in range(len(questions))]

    async def search(self, wanted: str | Upload, modalities: Sequence[str] = (), top: int = 10) -> list[Hit]:
        """Stored files near some words or a file.

        Raises:
            RemodalError: There is no index, a modality isn't known, or the file can't be read.
        """
        if isinstance(wanted, str):
            return await self.near(await asyncio.to_thread(self.model.embed_words, wanted), modalities, top)
        answer = (await self.answer(wanted)).answer
        if answer.place is None:
            raise BadItem(answer.medium, answer.problem or "")
        return await self.near(answer.place, modalities, top)

    async def near(self, place: NDArray[np.float32], modalities: Sequence[str] = (), top: int = 10) -> list[Hit]:
        """Stored files near a place ``[d]`` in the text space. Raises RemodalError where there is no index."""
        return await asyncio.to_thread(self._indexed().search, place.tolist(), modalities, top)

    async def stored(self) -> int:
        """How many files the index holds. Raises RemodalError where there is none."""
        return await asyncio.to_thread(len, self._indexed())

    async def stale(self) -> dict[str, int]:
        """How many stored files of each modality were embedded before the model learned what it knows now.

        Raises:
            RemodalError: There is no index.
        """
        return await asyncio.to_thread(self._indexed().stale, self.model.lineage)

    async def draw(self, upload: Upload) -> Drawn:
        """What is shown of a file; a note says so where it can't be read."""
        try:
            return Drawn(*await self._decoders.draw(upload.data, upload.name))
        except BadItem as bad:
            return Drawn("", Shown(note=bad.reason))

    async def draw_stored(self, hit: Hit) -> Drawn:
        """What is shown of a stored file."""
        try:
            found = await asyncio.to_thread(self._indexed().file, hit.id)
            if found is None:
                raise BadItem(hit.path, "is not there any more")
            return await self.draw(Upload(found.path.name, await asyncio.to_thread(found.read)))
        except BadItem as bad:
            return Drawn("", Shown(note=bad.reason))

    async def open_stored(self, identity: str) -> tuple[str, BinaryIO]:
        """A stored file by its id in the index: its name, and the file itself, opened where it was found.

        Raises:
            BadItem: There is none such any more, or it is a link out of its folder, a pipe or a device by now.
        """
        found = await asyncio.to_thread(self.index.file, identity) if self.index is not None else None
        if found is None:
            raise BadItem(identity[:80], "found no such stored file")
        return found.path.name, await asyncio.to_thread(found.open)

    async def teach(self, label: str, uploads: Sequence[Upload], modality: str | None = None) -> Job:
        """Queue an update that teaches a class from files; each is decoded before it is taken.

        Raises:
            RemodalError: The label is blank, or a file can't be read.
        """
        label = " ".join(label.split())
        if not label:
            raise RemodalError("found a blank name; valid: the name of a class")
        if not uploads:
            raise RemodalError("found no file; valid: at least one to learn from")
        lessons = []
        for upload in uploads:
            decoded = await self._decoders.decode(upload.data, upload.name, modality)
            lessons.append(Lesson(decoded.read_as, upload.data))
        return await self.jobs.update(label, lessons)

    async def answer_with_current(self) -> int:
        """Answer with the current version of the folder from the next batch on; its number."""
        current = await asyncio.to_thread(current_version, self.folder)
        if current != self.version:
            self.model = await asyncio.to_thread(self._load)
            self.metrics.version.set(self.version)
        return self.version

    async def roll_back(self, version: int | None = None) -> int:
        """Go back to a version, by default to the one that the current one learned on from; its number.

        Raises:
            RemodalError: There is none such, or an update is going on.
        """

        def change() -> None:
            with changing(self.folder):
                roll_back(self.folder, version)

        await asyncio.to_thread(change)
        now = await self.answer_with_current()
        if self.index is not None:
            self.jobs.refresh()
        return now

    async def versions(self) -> list[dict[str, Any]]:
        """All versions, oldest first: number, parent, when made, classes, accuracy by modality, whether current."""
        listed = await asyncio.to_thread(versions, self.folder)
        return [
            {
                "version": one.version,
                "parent": one.parent,
                "made": one.made,
                "classes": len(one.about.classes),
                "accuracy": {name: measured.model_dump() for name, measured in one.about.accuracy.items()},
                "current": one.version == self.version,
            }
            for one in listed
        ]
