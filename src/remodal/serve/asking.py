"""What is asked of the model about files: what they are, and which of them to label first."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import NamedTuple

from remodal.answering import Answer, refused
from remodal.errors import BadItem, RemodalError
from remodal.media import Decoded
from remodal.model import Model
from remodal.serve.admission import Admission, Pixels
from remodal.serve.batching import Batcher
from remodal.serve.metrics import Metrics
from remodal.serve.served import Served
from remodal.serve.together import together
from remodal.serve.turns import Client
from remodal.serve.uploads import Reader, Upload
from remodal.streams.base import Quarantined
from remodal.suggesting import GUESSES, Asked, Contents, Known, Suggested, check_count


class Question(NamedTuple):
    """A decoded medium, and what is asked of it. modality: where it is told. top: classes to name."""

    medium: Decoded
    modality: str | None
    top: int


class Said(NamedTuple):
    """An answer and the version of the model that gave it."""

    answer: Answer
    version: int


class Asking:
    """Whatever is decoded is answered in batches. size: of a batch, at most."""

    def __init__(self, served: Served, reader: Reader, admission: Admission, metrics: Metrics, size: int) -> None:
        self._served, self._reader, self._admission, self._metrics = served, reader, admission, metrics
        self.batcher = Batcher(self._compute, size, metrics.batch.observe)
        self._known: tuple[Model, Known] | None = None
        self._making_known = asyncio.Lock()

    async def answers(
        self, client: Client, uploads: Sequence[Upload], modality: str | None = None, top: int = 5
    ) -> list[Said]:
        """What the model says of each file of a request; a problem with one is in its answer.

        Raises:
            NotServed: The modality, or a file's, isn't served.
            RemodalError: The modality isn't known to remodal or to the model, the request has too many files, or the
                server is too busy.
        """
        if modality is not None:
            self._served.check_modality(modality)
            self._served.model.candidates(modality)
        pixels = self._reader.pixels()
        with self._admission.admitted(len(uploads)):
            return await together(self._answer(client, upload, modality, top, pixels) for upload in uploads)

    async def _answer(self, client: Client, upload: Upload, modality: str | None, top: int, pixels: Pixels) -> Said:
        try:
            medium = await self._reader.read(client, upload, modality, pixels)
        except BadItem as bad:
            self._metrics.refused.inc()
            return Said(refused(upload.name, bad.reason), self._served.version)
        said = await self.batcher.ask(client, Question(medium, modality, top))
        self._metrics.answered.labels(said.answer.modality).inc()
        return said

    def _compute(self, questions: Sequence[Question]) -> list[Said]:
        """A batch, by one model from its first medium to its last."""
        model, version = self._served.now()
        found: dict[int, Said] = {}
        for kind in dict.fromkeys((one.modality, one.top) for one in questions):
            own = [at for at, one in enumerate(questions) if (one.modality, one.top) == kind]
            answers = model.answer_decoded([questions[at].medium for at in own], *kind)
            found.update({at: Said(answer, version) for at, answer in zip(own, answers, strict=True)})
        return [found[at] for at in range(len(questions))]

    async def suggest(
        self, client: Client, uploads: Sequence[Upload], count: int, modality: str | None = None
    ) -> Suggested:
        """Which files to label first; a suggestion's ``place`` is that among ``uploads``.

        Raises:
            NotServed: The modality, or a file's, isn't served.
            RemodalError: There is none, the modality isn't known, there are too many, or the server is too busy.
        """
        check_count(count)
        if not uploads:
            raise RemodalError("found no file; valid: at least one to be labelled")
        if modality is not None:
            self._served.check_modality(modality)
            self._served.model.candidates(modality)
        known = await self._knowing()
        contents, places, set_aside = Contents(known), [], []
        pixels, asked = self._reader.pixels(), list[Asked]()
        with self._admission.admitted(len(uploads)):
            said = await together(self._looked_at(client, upload, modality, pixels) for upload in uploads)
        for place, (upload, one) in enumerate(zip(uploads, said, strict=True)):
            if isinstance(one, BadItem):
                set_aside.append(Quarantined(upload.name, one.reason))
            elif contents.is_new(self._reader.given(upload, one.read_as)):
                asked.append(one)
                places.append(place)
        found = await asyncio.to_thread(known.first, asked, count)
        sent = [one._replace(place=places[one.place]) for one in found.chosen]
        return contents.left_out(found._replace(chosen=tuple(sent)), set_aside)

    async def _looked_at(self, client: Client, upload: Upload, modality: str | None, pixels: Pixels) -> Asked | BadItem:
        """What the model says of a file, or what is wrong with it."""
        try:
            medium = await self._reader.read(client, upload, modality, pixels)
        except BadItem as bad:
            self._metrics.refused.inc()
            return bad
        said = await self.batcher.ask(client, Question(medium, modality, GUESSES))
        return Asked(said.answer, medium.read_as)

    async def _knowing(self) -> Known:
        """What the version that answers knows; made once for each."""
        async with self._making_known:
            if self._known is None or self._known[0] is not self._served.model:
                model = self._served.model
                self._known = model, await asyncio.to_thread(Known, model)
            return self._known[1]
