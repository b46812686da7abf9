"""All that the server can do, without HTTP: the routes and the page are two ways to call it."""

from __future__ import annotations

import asyncio
import mimetypes
from collections import Counter, deque
from collections.abc import Coroutine, Iterable, Sequence
from contextlib import AsyncExitStack, suppress
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, Literal, NamedTuple, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from remodal.answering import Answer, refused
from remodal.correcting import known
from remodal.errors import BadItem, RemodalError
from remodal.media import Decoded, Given, decoded, given
from remodal.modalities import MODALITIES, get_modality
from remodal.modalities.formats import TEXT, format_of
from remodal.model import Model
from remodal.report.media import Shown, show
from remodal.saved import changing, current_description, current_version, located, roll_back, versions
from remodal.saved.folder import CONFIG
from remodal.search import Chance, Hit, Index, Query
from remodal.serve.admission import Admission, Busy, Pixels
from remodal.serve.background import log
from remodal.serve.batching import Batcher
from remodal.serve.current import Damaged, current, folder_read
from remodal.serve.decoding import Decoders
from remodal.serve.jobs import Job, Jobs
from remodal.serve.learner import Work
from remodal.serve.metrics import Metrics
from remodal.serve.own_folders import UPLOADS
from remodal.serve.settings import ServeSettings
from remodal.serve.staging import Kind, Sent, Staging
from remodal.serve.turns import Client
from remodal.serve.watching import Watcher
from remodal.streams.base import Quarantined
from remodal.streams.labels import checked_label
from remodal.suggesting import GUESSES, Asked, Contents, Known, Suggested, check_count
from remodal.watching import entries

SHORT = 10_000
"""Bytes of a text that waits for no decoder: reading it is Python's own work, and takes less than 20 ms."""
MAX_WORDS = 10_000
"""Letters of words to search for."""
MAX_CLASSES = 100
"""Classes to forget in one request."""
Found = TypeVar("Found")


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
    """A file from a client. name: for messages alone. depth_unit: of a depth file, where it is stated."""

    name: str
    data: bytes
    depth_unit: str | None = None


class Drawn(NamedTuple):
    """What is shown of a medium, and the modality whose reader decoded it; empty where none did."""

    read_as: str
    shown: Shown


class NotServed(RemodalError):
    """A medium, or a question, of a modality that this server doesn't serve."""


class Service:
    """model, device, dtype, trust_backbone: see :meth:`Model.load`. index: to search in. depth_unit: of depth files
    where a client states none; None: what those had that the model learned from. modalities: that are served; encoders
    that read no other aren't loaded. Used as an asynchronous context.

    client: who asks, wherever it is taken: clients wait in turn.
    """

    def __init__(
        self,
        model: str,
        cache: Path,
        index: str | None,
        settings: ServeSettings,
        device: str = "cpu",
        dtype: str | None = None,
        trust_backbone: Path | None = None,
        depth_unit: str | None = None,
        modalities: Sequence[str] = tuple(MODALITIES),
    ) -> None:
        self.folder = located(model)
        self.settings, self.metrics = settings, Metrics()
        self.index = Index.open(index) if index else None
        self._found_by_chance: tuple[tuple[int, int], dict[frozenset[str], Chance]] = (0, 0), {}
        self._making_chance = asyncio.Lock()
        self._known: tuple[Model, Known] | None = None
        self._making_known = asyncio.Lock()
        self._load = partial(
            Model.load,
            self.folder,
            cache=cache,
            device=device,
            dtype=dtype,
            trust_backbone=trust_backbone,
            modalities=modalities,
        )
        self._loaded_from = current(self.folder)
        self.model = self._load()
        """The version that answers now; replaced as a whole."""
        self._depth_unit = depth_unit
        self.model.unit(depth_unit)
        if self.index is not None:
            self.index = self.index.of(self.model.backbone.fingerprint)
        of_backbone = self.model.backbone.settings.model_dump(mode="json")
        self._decoders = Decoders(
            self.model.backbone_name, of_backbone, str(cache), settings.decoders, settings.decode_seconds
        )
        self._batcher = Batcher(self._compute, settings.batch, self.metrics.batch.observe)
        self._admission = Admission(settings.waiting, settings.files)
        self._staging = Staging(cache / UPLOADS)
        trusted = None if trust_backbone is None else str(trust_backbone)
        work = Work(str(self.folder), str(cache), device, dtype, index, trusted, settings.versions)
        self.jobs = Jobs(work, self._staging, settings.jobs, self.answer_with_current)
        self._watcher = Watcher(self.folder / CONFIG, self._follow)
        self._background = {
            "decoding": self._decoders,
            "answering": self._batcher,
            "learning": self.jobs,
            "watching the model's folder": self._watcher,
        }
        self._replacing = asyncio.Lock()
        self._running = AsyncExitStack()
        self.ready = False

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as started:
            started.enter_context(self._staging)
            for part in self._background.values():
                await started.enter_async_context(part)
            self._running = started.pop_all()
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

    @property
    def problems(self) -> dict[str, str]:
        """What of the server doesn't do its work, and why; empty where all does."""
        return {name: part.problem for name, part in self._background.items() if part.problem is not None}

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
            self._check_served(modality)
            self.model.candidates(modality)
        pixels = Pixels(self.settings.pixels)
        with self._admission.admitted(len(uploads)):
            return await _together(self._answer(client, upload, modality, top, pixels) for upload in uploads)

    async def _answer(self, client: Client, upload: Upload, modality: str | None, top: int, pixels: Pixels) -> Said:
        try:
            medium = await self._decoded(client, upload, modality, pixels)
        except BadItem as bad:
            self.metrics.refused.inc()
            return Said(refused(upload.name, bad.reason), self.version)
        said = await self._batcher.ask(client, Question(medium, modality, top))
        self.metrics.answered.labels(said.answer.modality).inc()
        return said

    async def _decoded(self, client: Client, upload: Upload, modality: str | None, pixels: Pixels) -> Decoded:
        """A medium as the model takes it. Raises BadItem where it can't be decoded, NotServed where it isn't served."""
        if _is_short_text(upload.data):
            one = given(upload.name, upload.data, modality)
            self._check_served(one.read_as, upload.name)
            return await asyncio.to_thread(decoded, one, self.model.backbone)
        unit = self._unit(upload)
        found = await self._decoders.decode(client, upload.data, upload.name, modality, pixels, unit)
        self._check_served(found.read_as, upload.name)
        return found

    def _check_served(self, modality: str, where: str = "") -> None:
        """NotServed, or UnknownName, where a modality is another one than those that are served."""
        if get_modality(modality).name not in self.model.modalities:
            served = ", ".join(self.model.modalities)
            raise NotServed(f"{where + ': ' if where else ''}found {modality}; valid on this server: {served}")

    def _unit(self, upload: Upload) -> str | None:
        return upload.depth_unit or self.model.unit(self._depth_unit)

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

    async def search(
        self,
        client: Client,
        wanted: str | Upload,
        modalities: Sequence[str] = (),
        top: int = 10,
        *,
        windows: bool = False,
    ) -> list[Hit]:
        """Stored files near some words or a file, each with whether it is sure. windows: see :meth:`Index.search`.

        Raises:
            RemodalError: There is no index, a modality isn't known, the file can't be read, or the server is too busy.
        """
        self._indexed()
        for modality in modalities:
            self._check_served(modality)
        if isinstance(wanted, str):
            if len(wanted) > MAX_WORDS:
                raise RemodalError(f"found {len(wanted):,} letters to search for; valid: at most {MAX_WORDS:,}")
            with self._admission.admitted(1):
                query = await asyncio.to_thread(Query.of_words, wanted, self.model)
        else:
            ((answer, _),) = await self.answers(client, [wanted])
            query = Query.of_medium(answer)
        found = await self.near(query.place, modalities, top, windows=windows)
        among = frozenset(self._searched(modalities))
        async with self._making_chance:  # once, however many ask
            return await asyncio.to_thread(lambda: self._chance(among).marked(query, found))

    def _searched(self, modalities: Sequence[str]) -> Sequence[str]:
        """In what is searched where these are asked for: as far as is served; none where that is all."""
        return modalities or (() if len(self.model.modalities) == len(MODALITIES) else self.model.modalities)

    def _chance(self, among: frozenset[str]) -> Chance:
        """What chance finds in the index, as it and the model are now; made when it is first asked for."""
        index = self._indexed()
        now = index.state, self.version
        if self._found_by_chance[0] != now:
            self._found_by_chance = now, {}
        kept = self._found_by_chance[1]
        if among not in kept:
            kept[among] = Chance.within(index, self.model, among)
        return kept[among]

    async def near(
        self, place: NDArray[np.float32], modalities: Sequence[str] = (), top: int = 10, *, windows: bool = False
    ) -> list[Hit]:
        """Stored files near a place ``[d]`` in the text space, of modalities that are served.

        Raises:
            RemodalError: There is no index.
        """
        search = partial(self._indexed().search, windows=windows)
        return await asyncio.to_thread(search, place.tolist(), self._searched(modalities), top)

    async def stored(self) -> int:
        """How many files the index holds. Raises RemodalError where there is none."""
        return (await asyncio.to_thread(self._indexed().count)).files

    async def stale(self) -> dict[str, int]:
        """How many stored files and windows of each modality were embedded before the model learned what it knows now.

        Raises:
            RemodalError: There is no index.
        """
        return await asyncio.to_thread(self._indexed().stale, self.model.lineage)

    async def draw(self, client: Client, upload: Upload) -> Drawn:
        """What is shown of a file; a note says so where it can't be read. Raises Busy."""
        try:
            if _is_short_text(upload.data):
                one = given(upload.name, upload.data, None)
                return Drawn(one.read_as, show(one))
            with self._admission.admitted(1):
                pixels = Pixels(self.settings.pixels)
                return Drawn(*await self._decoders.draw(client, upload.data, upload.name, pixels, self._unit(upload)))
        except BadItem as bad:
            return Drawn("", Shown(note=bad.reason))

    async def draw_stored(self, client: Client, hit: Hit) -> Drawn:
        """What is shown of a stored file; a long one isn't read for that, its player is enough. Raises Busy."""
        if hit.span is not None:
            kind = mimetypes.guess_type(hit.path)[0] or ""
            return Drawn("video" if kind.startswith("video/") else "audio", Shown())
        try:
            found = await asyncio.to_thread(self._indexed().file, hit.id)
            if found is None:
                raise BadItem(hit.path, "is not there any more")
            return await self.draw(client, Upload(found.path.name, await asyncio.to_thread(found.read)))
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

    async def teach(
        self,
        client: Client,
        labels: Sequence[str],
        uploads: Sequence[Upload],
        modality: str | None = None,
        kind: Literal["update", "arrival", "relabel"] = "update",
    ) -> Job:
        """Queue a job that teaches classes from files, or has files be of one that were taught as of another one.

        labels: one for all files, or one for each. kind: see :class:`~remodal.serve.jobs.Job`.

        Raises:
            Damaged: The model's folder can't be read.
            RemodalError: A label is blank, there are more or fewer than files, a file can't be read, there are too
                many, or the server is too busy.
        """
        checked = [checked_label(label, "label") for label in labels]
        if not uploads:
            raise RemodalError("found no file; valid: at least one of the class")
        if len(checked) not in (1, len(uploads)):
            found = f"found {len(checked):,} labels and {len(uploads):,} files"
            raise RemodalError(f"{found}; valid: one label for all, or one for each")
        each = checked if len(checked) == len(uploads) else checked * len(uploads)
        return await self._change(client, kind, each, uploads, modality)

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
            self._check_served(modality)
            self.model.candidates(modality)
        known = await self._knowing()
        contents, places, set_aside = Contents(known), [], []
        pixels, asked = Pixels(self.settings.pixels), list[Asked]()
        with self._admission.admitted(len(uploads)):
            said = await _together(self._looked_at(client, upload, modality, pixels) for upload in uploads)
        for place, (upload, one) in enumerate(zip(uploads, said, strict=True)):
            if isinstance(one, BadItem):
                set_aside.append(Quarantined(upload.name, one.reason))
            elif contents.is_new(self._given(upload, one.read_as)):
                asked.append(one)
                places.append(place)
        found = await asyncio.to_thread(known.first, asked, count)
        sent = [one._replace(place=places[one.place]) for one in found.chosen]
        return contents.left_out(found._replace(chosen=tuple(sent)), set_aside)

    async def _looked_at(self, client: Client, upload: Upload, modality: str | None, pixels: Pixels) -> Asked | BadItem:
        """What the model says of a file, or what is wrong with it."""
        try:
            medium = await self._decoded(client, upload, modality, pixels)
        except BadItem as bad:
            self.metrics.refused.inc()
            return bad
        said = await self._batcher.ask(client, Question(medium, modality, GUESSES))
        return Asked(said.answer, medium.read_as)

    async def _knowing(self) -> Known:
        """What the version that answers knows; made once for each."""
        async with self._making_known:
            if self._known is None or self._known[0] is not self.model:
                model = self.model
                self._known = model, await asyncio.to_thread(Known, model)
            return self._known[1]

    def _given(self, upload: Upload, read_as: str) -> Given:
        return Given(upload.name, upload.data, read_as, self._unit(upload) if read_as == "depth" else None)

    async def forget(
        self, client: Client, classes: Sequence[str], uploads: Sequence[Upload], modality: str | None = None
    ) -> Job:
        """Queue a job after which the model has never seen some classes, ``modality:name`` each, and some files.

        Raises:
            Damaged: The model's folder can't be read.
            NotServed: A class, or a file, is of a modality that isn't served.
            RemodalError: A class isn't known, a file can't be read, there are too many, or the server is too busy.
        """
        if not classes and not uploads:
            raise RemodalError("found nothing to forget; valid: classes, files")
        if len(classes) > MAX_CLASSES:
            raise RemodalError(f"found {len(classes):,} classes to forget; valid: at most {MAX_CLASSES:,} a request")
        for name in classes:
            self._check_served(known(name, self.model.seen_).modality)
        return await self._change(client, "forget", [""] * len(uploads), uploads, modality, classes)

    async def _change(
        self,
        client: Client,
        kind: Kind,
        labels: Sequence[str],
        uploads: Sequence[Upload],
        modality: str | None,
        classes: Sequence[str] = (),
    ) -> Job:
        """Queue a job about files, each of which is decoded first. labels: one for each, "" where it is to get none."""
        if modality is not None:
            self._check_served(modality)
        await asyncio.to_thread(current, self.folder)
        self.jobs.check_room()
        pixels = Pixels(self.settings.pixels)
        with self._admission.admitted(len(uploads)):
            media = await _together(self._decoded(client, upload, modality, pixels) for upload in uploads)
        files = [
            Sent(upload.name, one.read_as, upload.data, self._given(upload, one.read_as).unit, label)
            for one, upload, label in zip(media, uploads, labels, strict=True)
        ]
        # a client that leaves now has asked; files that are half written would be left behind
        named = [label for label in dict.fromkeys(labels) if label]
        return await asyncio.shield(self.jobs.change(kind, named, files, classes))

    def classes(self) -> list[dict[str, Any]]:
        """What the version that answers has learned of what is served: modality and label of each class, how many items
        of it were learned (None where that wasn't noted), and how many are held out.
        """
        learned = self.model.learned_
        counts = Counter(learned.items.columns.tolist())
        noted = sum(source.items for source in learned.sources) == len(learned.items)
        return [
            {
                "modality": column.modality,
                "label": column.name,
                "items": counts[place] if noted else None,
                "held_out": learned.held_out.counts(column.modality)[column.name],
            }
            for place, column in enumerate(learned.columns)
            if column.modality in self.model.modalities
        ]

    async def arrivals(self, last: int) -> list[dict[str, Any]]:
        """What arrived, and was learned, until the folder's current version: the ``last`` times, oldest first.

        Raises:
            Damaged: The model's folder can't be read.
        """

        def read() -> list[dict[str, Any]]:
            arrived = current_description(self.folder).about.arrived
            kept = deque((one for one in entries(self.folder, arrived) if one.version is not None), last)
            return [
                {
                    "time": one.time,
                    "version": one.version,
                    "learned": len(one.learned),
                    "held_out": len(one.held_out),
                    "new": [list(column) for column in one.new],
                    "accuracy": {name: measured.model_dump() for name, measured in one.accuracy.items()},
                }
                for one in kept
            ]

        with folder_read():
            return await asyncio.to_thread(read)

    async def answer_with_current(self) -> int:
        """Answer with the current version of the folder from the next batch on; its number.

        Raises:
            Damaged: The folder can't be read; the version that answers goes on.
        """
        async with self._replacing:
            found = await asyncio.to_thread(current, self.folder)
            if found != self._loaded_from:
                with folder_read():
                    model = await asyncio.to_thread(self._load)
                if model.backbone.fingerprint != self.model.backbone.fingerprint:
                    raise Damaged(f"{self.folder}: is now a model of another backbone; start the server again")
                self.model, self._loaded_from = model, found
                self.metrics.version.set(self.version)
            return self.version

    async def _follow(self) -> bool:
        """Answer with the version that another process made the current one; False where a job is at it."""
        if self.jobs.running:
            return False
        before = self._loaded_from
        await self.answer_with_current()
        if before != self._loaded_from:
            log.warning("%s: another process changed it; version %d answers now", self.folder, self.version)
            self._refresh()
        return True

    def _refresh(self) -> None:
        """Have the index follow the model, if there is one."""
        if self.index is not None:
            with suppress(Busy):  # each of those that wait refreshes it as well
                self.jobs.refresh()

    async def roll_back(self, version: int | None = None) -> int:
        """Go back to a version, by default to the one that the current one learned on from; its number.

        Raises:
            Damaged: The model's folder can't be read.
            RemodalError: There is none such, or an update is going on.
        """
        await self.versions()

        def change() -> None:
            with changing(self.folder):
                roll_back(self.folder, version)

        await asyncio.to_thread(change)
        now = await self.answer_with_current()
        self._refresh()
        return now

    async def versions(self) -> list[dict[str, Any]]:
        """All versions, oldest first: number, parent, when made, note, classes, accuracy by modality, whether current.

        current: whether the folder says so. answers: whether it is the one in memory, as it is within seconds.

        Raises:
            Damaged: The model's folder can't be read.
        """
        with folder_read():
            listed = await asyncio.to_thread(versions, self.folder)
            now = await asyncio.to_thread(current_version, self.folder)
        return [
            {
                "version": one.version,
                "parent": one.parent,
                "made": one.made,
                "note": one.note,
                "classes": len(one.about.classes),
                "accuracy": {name: measured.model_dump() for name, measured in one.about.accuracy.items()},
                "current": one.version == now,
                "answers": one.version == self.version,
            }
            for one in listed
        ]


def _is_short_text(data: bytes) -> bool:
    return len(data) <= SHORT and format_of(data) is TEXT


async def _together(work: Iterable[Coroutine[Any, Any, Found]]) -> list[Found]:
    """All results, in order. The first that fails, or the client's leaving, ends the others."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one) for one in work]
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from None
    return [task.result() for task in tasks]
